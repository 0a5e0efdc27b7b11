//! Words, literals and signs of an expression.

use super::expression::SqlError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A keyword or the name of a property.
    Word(String),
    /// A name in brackets or double quotes, never a keyword.
    Name(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 12] = ["<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", ".", ";"];

/// Takes an expression apart; each token comes with its place.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SqlError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first == '\'' {
            quoted(rest, '\'').map(|(text, length)| (Token::Text(text), length))
        } else if first == '"' {
            quoted(rest, '"').map(|(text, length)| (Token::Name(text), length))
        } else if first == '[' {
            quoted(rest, ']').map(|(text, length)| (Token::Name(text), length))
        } else if first.is_ascii_digit() || first == '-' {
            number(rest)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|next: char| !next.is_alphanumeric() && !"_-".contains(next));
            let length = length.unwrap_or(rest.len());
            Some((Token::Word(rest[..length].to_owned()), length))
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            sign.map(|sign| (Token::Sign(sign), sign.len()))
        }
        .ok_or(SqlError { expected: "a name, a value or an operator", at })?;
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

/// Text up to the closing mark; a doubled mark stands for itself.
fn quoted(rest: &str, close: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != close {
            text.push(character);
        } else if characters.next_if(|(_, next)| *next == close).is_some() {
            text.push(close);
        } else {
            return Some((text, at + close.len_utf8()));
        }
    }
    None
}

fn number(rest: &str) -> Option<(Token, usize)> {
    let digits = rest[1..].find(|next: char| !next.is_ascii_digit() && next != '.');
    let length = digits.map_or(rest.len(), |length| length + 1);
    Some((Token::Number(rest[..length].parse().ok()?), length))
}
