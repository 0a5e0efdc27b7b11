//! The few shapes of `$filter` that the directory answers.

use hyper::StatusCode;

use super::refusal::Refusal;

/// The most ids of one `in`.
const MOST_IDS: usize = 15;
const LONGEST_VALUE: usize = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// `id in ('…','…')`
    Ids(Vec<String>),
    /// `identities/any(c:c/issuerAssignedId eq '…' and c/issuer eq '…')`
    SignIn { issuer: String, assigned: String },
    /// `otherMails/any(c:c eq '…')`
    OtherMail(String),
    /// `onPremisesExtensionAttributes/extensionAttribute1 eq '…'`
    Numbered(String, String),
    /// `mail eq '…'` and the like
    Equals(String, String),
}

pub(super) fn parse(text: &str) -> Result<Filter, Refusal> {
    let tokens = tokens(text).ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", "Invalid filter clause: Syntax error.")
    })?;
    if tokens.iter().any(|token| matches!(token, Token::Text(value) if value.chars().count() > LONGEST_VALUE))
    {
        return Err(Refusal::unsupported_query("A value in the filter is longer than 120 characters."));
    }
    shape(&tokens)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (value, after) = quoted(&rest[1..])?;
            found.push(Token::Text(value));
            rest = after;
        } else if "(),:".contains(first) {
            found.push(Token::Sign(first));
            rest = &rest[1..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "(),:'".contains(c)).unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(found)
}

/// The text up to the closing quote, in which two quotes stand for one, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('\'')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

fn shape(tokens: &[Token]) -> Result<Filter, Refusal> {
    use Token::{Sign, Text, Word};
    let unsupported = || Refusal::unsupported_query("Unsupported or invalid query filter clause specified.");
    match tokens {
        [Word(property), Word(op), Text(value)] if op == "eq" && !property.contains('/') => {
            Ok(Filter::Equals(property.clone(), value.clone()))
        }
        // Microsoft's "user resource type" lets the fifteen be filtered by `eq`, by the path of the object that they are in.
        [Word(path), Word(op), Text(value)] if op == "eq" => match numbered(path) {
            Some(name) => Ok(Filter::Numbered(name.to_owned(), value.clone())),
            None => Err(unsupported()),
        },
        [Word(id), Word(op), Sign('('), list @ .., Sign(')')] if id == "id" && op == "in" => ids(list),
        [Word(path), Sign('('), Word(var), Sign(':'), inner @ .., Sign(')')] => {
            match (path.as_str(), inner) {
                ("otherMails/any", [Word(name), Word(op), Text(value)]) if name == var && op == "eq" => {
                    Ok(Filter::OtherMail(value.clone()))
                }
                (
                    "identities/any",
                    [Word(a), Word(eq_a), Text(x), Word(and), Word(b), Word(eq_b), Text(y)],
                ) if eq_a == "eq" && eq_b == "eq" && and == "and" => {
                    let part = |name: &str| name.strip_prefix(var.as_str()).unwrap_or_default().to_owned();
                    match (part(a).as_str(), part(b).as_str()) {
                        ("/issuerAssignedId", "/issuer") => Ok(sign_in(y, x)),
                        ("/issuer", "/issuerAssignedId") => Ok(sign_in(x, y)),
                        _ => Err(unsupported()),
                    }
                }
                _ => Err(unsupported()),
            }
        }
        _ => Err(unsupported()),
    }
}

/// The name of one of the fifteen attributes, by its path.
fn numbered(path: &str) -> Option<&str> {
    let name = path.strip_prefix("onPremisesExtensionAttributes/")?;
    let number: usize = name.strip_prefix("extensionAttribute")?.parse().ok()?;
    ((1..=15).contains(&number) && name == format!("extensionAttribute{number}")).then_some(name)
}

fn sign_in(issuer: &str, assigned: &str) -> Filter {
    Filter::SignIn { issuer: issuer.to_owned(), assigned: assigned.to_owned() }
}

fn ids(list: &[Token]) -> Result<Filter, Refusal> {
    let values: Vec<String> = list
        .split(|token| *token == Token::Sign(','))
        .filter_map(|part| match part {
            [Token::Text(value)] => Some(value.clone()),
            _ => None,
        })
        .collect();
    if values.len() * 2 != list.len() + 1 {
        return Err(Refusal::unsupported_query("Unsupported or invalid query filter clause specified."));
    }
    if values.len() > MOST_IDS {
        let message =
            format!("Too many child clauses specified in search filter expression. The limit is {MOST_IDS}.");
        return Err(Refusal::unsupported_query(message));
    }
    Ok(Filter::Ids(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_shapes_are_read() {
        let signs = Filter::SignIn { issuer: "c.test".into(), assigned: "a@b.test".into() };
        for (text, filter) in [
            ("id in ('1','2')", Filter::Ids(vec!["1".into(), "2".into()])),
            ("identities/any(c:c/issuerAssignedId eq 'a@b.test' and c/issuer eq 'c.test')", signs.clone()),
            ("identities/any(x: x/issuer eq 'c.test' and x/issuerAssignedId eq 'a@b.test')", signs),
            ("otherMails/any(m:m eq 'a@b.test')", Filter::OtherMail("a@b.test".into())),
            (
                "onPremisesExtensionAttributes/extensionAttribute15 eq 'x'",
                Filter::Numbered("extensionAttribute15".into(), "x".into()),
            ),
            ("extension_0_contact eq 'x'", Filter::Equals("extension_0_contact".into(), "x".into())),
            ("mail eq 'o''neill@b.test'", Filter::Equals("mail".into(), "o'neill@b.test".into())),
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&filter), "{text}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let sixteen: Vec<String> = (0..16).map(|n| format!("'{n}'")).collect();
        let too_many = format!("id in ({})", sixteen.join(","));
        let long = format!("mail eq '{}'", "x".repeat(121));
        for (text, code) in [
            ("identities/any(c:c/issuerAssignedId eq 'a@b.test')", "Request_UnsupportedQuery"),
            (
                "identities/any(c:c/signInType eq 'userPrincipalName' and c/issuer eq 'x')",
                "Request_UnsupportedQuery",
            ),
            (too_many.as_str(), "Request_UnsupportedQuery"),
            (long.as_str(), "Request_UnsupportedQuery"),
            ("onPremisesExtensionAttributes/extensionAttribute16 eq 'x'", "Request_UnsupportedQuery"),
            ("onPremisesExtensionAttributes/extensionAttribute01 eq 'x'", "Request_UnsupportedQuery"),
            ("onPremisesExtensionAttributes/extensionAttribute1 ne 'x'", "Request_UnsupportedQuery"),
            (
                "identities/any(c:c/issuerAssignedId eq 'a' and c/issuer eq 'b') or mail eq 'x'",
                "Request_UnsupportedQuery",
            ),
            ("endsWith(mail,'x')", "Request_UnsupportedQuery"),
            ("mail ne 'x'", "Request_UnsupportedQuery"),
            ("id in ('1' '2')", "Request_UnsupportedQuery"),
            ("id in ()", "Request_UnsupportedQuery"),
            ("mail eq 'x", "BadRequest"),
        ] {
            assert_eq!(parse(text).map_err(|refusal| refusal.code), Err(code.to_owned()), "{text}");
        }
    }
}
