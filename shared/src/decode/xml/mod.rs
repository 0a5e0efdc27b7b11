//! XML text. The tokens are our own: readers of XML 1.0 refuse some character references that Microsoft's serializer
//! writes, and those that leave them alone check every name and every text once more.

mod scan;

use std::{borrow::Cow, collections::BTreeSet};

use memchr::memchr;

use self::scan::{Piece, Scanner, Tag, is_blank};
use super::{
    error::{DecodeProblem, Error},
    infoset::{Attribute, Frame, Scalar, Token, Tokens, at, split},
};

/// Attributes of one element that are compared with each other; where there are more, an order is kept.
const FEW: usize = 16;

/// The pieces of an XML document.
pub(super) struct XmlTokens<'a> {
    scanner: Scanner<'a>,
    frame: Frame<'a>,
    attributes: Vec<Attribute<'a>>,
    /// Names of the attributes and declarations of one element, none of which may occur twice.
    names: Vec<&'a str>,
    /// Whether the element handed out last was empty, so that its end comes next.
    ended: bool,
}

impl<'a> XmlTokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (scanner, frame) = (Scanner::new(text), Frame::default());
        Self { scanner, frame, attributes: Vec::new(), names: Vec::new(), ended: false }
    }

    /// Reads a tag.
    fn start(&mut self, tag: Tag<'a>) -> Result<Token<'a>, Error> {
        if !tag.attributes.is_empty() {
            self.attributes(tag.attributes).map_err(at(tag.offset))?;
        }
        let (prefix, name) = split(tag.name);
        self.frame.open(prefix, name, &mut self.attributes).map(Token::Start).map_err(at(tag.offset))
    }

    /// Reads what stands behind the name of a tag.
    fn attributes(&mut self, mut rest: &'a str) -> Result<(), DecodeProblem> {
        self.names.clear();
        let mut many = BTreeSet::new();
        while let Some((key, value, behind)) = attribute(rest)? {
            rest = behind;
            let new = if self.names.len() < FEW {
                !self.names.contains(&key)
            } else {
                if many.is_empty() {
                    many.extend(self.names.iter().copied());
                }
                many.insert(key)
            };
            if !new {
                return Err(DecodeProblem::Expected("an attribute"));
            }
            if self.names.len() < FEW {
                self.names.push(key);
            }
            let value = unescape(value)?;
            match split(key) {
                ("", "xmlns") => self.frame.declare("", value)?,
                ("xmlns", prefix) => self.frame.declare(prefix, value)?,
                (prefix, name) => self.attributes.push(Attribute { prefix, name, value }),
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<Token<'a>, Error> {
        if self.frame.close() {
            Ok(Token::End)
        } else {
            Err(self.fail(DecodeProblem::Expected("an element")))
        }
    }

    fn fail(&self, problem: DecodeProblem) -> Error {
        self.scanner.fail(problem)
    }
}

impl<'a> Tokens<'a> for XmlTokens<'a> {
    fn next(&mut self) -> Result<Token<'a>, Error> {
        if std::mem::take(&mut self.ended) {
            return self.close();
        }
        let text = match self.scanner.next()? {
            Piece::Start(tag) => return self.start(tag),
            Piece::Empty(tag) => {
                self.ended = true;
                return self.start(tag);
            }
            Piece::End => return self.close(),
            Piece::Text(text) => Scalar::Text(Cow::Borrowed(text)),
            Piece::Reference(name) => Scalar::Char(reference(name).map_err(at(self.offset()))?),
            Piece::Eof => return Err(self.fail(DecodeProblem::Truncated)),
        };
        self.frame.count().map_err(at(self.offset()))?;
        Ok(Token::Text(text))
    }

    fn skip(&mut self) -> Result<(), Error> {
        let outer = self.frame.depth().saturating_sub(1);
        let mut ended = std::mem::take(&mut self.ended);
        while self.frame.depth() > outer {
            if std::mem::take(&mut ended) {
                self.frame.close();
                continue;
            }
            // Names and attributes are not looked at; that tags match is the scanner's concern.
            match self.scanner.next()? {
                Piece::Start(_) => self.frame.enter().map_err(at(self.offset()))?,
                Piece::End => ended = true,
                Piece::Eof => return Err(self.fail(DecodeProblem::Truncated)),
                _ => self.frame.count().map_err(at(self.offset()))?,
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        loop {
            match self.scanner.next()? {
                Piece::Eof => return Ok(()),
                Piece::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
                _ => return Err(self.fail(DecodeProblem::Trailing)),
            }
        }
    }

    fn offset(&self) -> usize {
        self.scanner.offset()
    }
}

/// The first attribute of a tag: its name, its value as written and what stands behind it.
fn attribute(rest: &str) -> Result<Option<(&str, &str, &str)>, DecodeProblem> {
    const WRONG: DecodeProblem = DecodeProblem::Expected("an attribute");
    let rest = trim(rest);
    if rest.is_empty() {
        return Ok(None);
    }
    // The first character is part of the name, whichever it is: names are not checked.
    let end = rest.bytes().skip(1).position(|byte| byte == b'=' || is_blank(byte)).ok_or(WRONG)?;
    let (key, rest) = rest.split_at(end + 1);
    let rest = trim(trim(rest).strip_prefix('=').ok_or(WRONG)?);
    let quote = *rest.as_bytes().first().ok_or(WRONG)?;
    if !matches!(quote, b'"' | b'\'') {
        return Err(WRONG);
    }
    let rest = &rest[1..];
    let end = memchr(quote, rest.as_bytes()).ok_or(WRONG)?;
    Ok(Some((key, &rest[..end], &rest[end + 1..])))
}

/// The rest behind white space.
fn trim(rest: &str) -> &str {
    let blank = rest.bytes().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
    &rest[blank..]
}

/// The character that a reference, without `&` and `;`, stands for. Control characters are welcome; entities other
/// than the five of XML cannot occur, as document types are refused.
fn reference(name: &str) -> Result<char, DecodeProblem> {
    let character = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#').unwrap_or_default();
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            code.ok().filter(|_| !number.contains('+')).and_then(char::from_u32)
        }
    };
    character.ok_or(DecodeProblem::Expected("a character reference"))
}

/// The value of an attribute.
fn unescape(written: &str) -> Result<Cow<'_, str>, DecodeProblem> {
    if !written.contains('&') {
        return Ok(Cow::Borrowed(written));
    }
    let mut value = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or(DecodeProblem::Expected("a character reference"))?;
        value.push_str(before);
        value.push(reference(name)?);
        rest = after;
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}
