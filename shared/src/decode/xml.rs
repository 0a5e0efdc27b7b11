//! XML text, by way of `quick_xml`, which leaves character references to us: Microsoft's serializer writes some
//! that XML 1.0 forbids, and a reader that resolves them itself would refuse the message.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    errors::{Error as XmlError, IllFormedError, SyntaxError},
    events::{Event, attributes::Attributes},
};

use super::{
    error::{Error, Problem},
    infoset::{Attribute, Frame, Scalar, Token, Tokens, at, split},
};

/// The pieces of an XML document.
pub(super) struct XmlTokens<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    frame: Frame<'a>,
    attributes: Vec<Attribute<'a>>,
    /// Whether the element handed out last was empty, so that its end comes next.
    ended: bool,
}

impl<'a> XmlTokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let reader = Reader::from_str(text);
        Self { text, reader, frame: Frame::default(), attributes: Vec::new(), ended: false }
    }

    /// Reads a tag, given as the text between its brackets and the length of its name.
    fn start(&mut self, tag: &'a str, name: usize, offset: usize) -> Result<Token<'a>, Error> {
        for attribute in Attributes::new(tag, name) {
            let attribute = attribute.map_err(|_| Error::new(Problem::Expected("an attribute"), offset))?;
            let (prefix, name) = split(attribute.key.0);
            let value = match attribute.value {
                Cow::Borrowed(value) => unescape(value),
                Cow::Owned(value) => unescape(&value).map(|value| Cow::Owned(value.into_owned())),
            };
            let value = value.map_err(at(offset))?;
            match (prefix, name) {
                ("", "xmlns") => self.frame.declare("", value).map_err(at(offset))?,
                ("xmlns", prefix) => self.frame.declare(prefix, value).map_err(at(offset))?,
                _ => self.attributes.push(Attribute { prefix, name, value }),
            }
        }
        let (prefix, name) = split(&tag[..name]);
        self.frame.open(prefix, name, &mut self.attributes).map(Token::Start).map_err(at(offset))
    }

    /// The tag that was read last, borrowed from the document rather than from the event.
    fn tag(&self, offset: usize, length: usize) -> &'a str {
        // An event's text is the document's between the brackets.
        self.text.get(offset + 1..offset + 1 + length).unwrap_or_default()
    }

    fn close(&mut self) -> Result<Token<'a>, Error> {
        if self.frame.close() { Ok(Token::End) } else { Err(self.fail(Problem::Expected("an element"))) }
    }

    fn fail(&self, problem: Problem) -> Error {
        Error::new(problem, self.offset())
    }

    /// The next event that says something.
    fn event(&mut self) -> Result<Event<'a>, Error> {
        loop {
            match self.reader.read_event().map_err(|error| self.fail(problem(&error)))? {
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::DocType(_) => return Err(self.fail(Problem::Doctype)),
                event => return Ok(event),
            }
        }
    }
}

impl<'a> Tokens<'a> for XmlTokens<'a> {
    fn next(&mut self) -> Result<Token<'a>, Error> {
        if std::mem::take(&mut self.ended) {
            return self.close();
        }
        let text = match self.event()? {
            Event::Start(tag) => {
                let offset = self.offset().saturating_sub(tag.len() + 2);
                return self.start(self.tag(offset, tag.len()), tag.name().0.len(), offset);
            }
            Event::Empty(tag) => {
                let offset = self.offset().saturating_sub(tag.len() + 3);
                self.ended = true;
                return self.start(self.tag(offset, tag.len()), tag.name().0.len(), offset);
            }
            Event::End(_) => return self.close(),
            Event::Text(text) => Scalar::Text(text.into_inner()),
            Event::CData(text) => Scalar::Text(text.into_inner()),
            Event::GeneralRef(name) => Scalar::Char(reference(&name).map_err(at(self.offset()))?),
            _ => return Err(self.fail(Problem::Truncated)),
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
            // Names and attributes are not looked at; that tags match is the library's concern.
            match self.event()? {
                Event::Start(_) => self.frame.enter().map_err(at(self.offset()))?,
                Event::End(_) => ended = true,
                Event::Eof => return Err(self.fail(Problem::Truncated)),
                _ => self.frame.count().map_err(at(self.offset()))?,
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        loop {
            match self.event()? {
                Event::Eof => return Ok(()),
                Event::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
                _ => return Err(self.fail(Problem::Trailing)),
            }
        }
    }

    fn offset(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(self.text.len())
    }
}

/// What a complaint of the library means. Its own words may quote the document.
fn problem(error: &XmlError) -> Problem {
    match error {
        XmlError::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            Problem::Expected("the matching end tag")
        }
        XmlError::IllFormed(IllFormedError::MissingEndTag(_) | IllFormedError::UnclosedReference) => {
            Problem::Truncated
        }
        XmlError::Syntax(
            SyntaxError::UnclosedTag
            | SyntaxError::UnclosedComment
            | SyntaxError::UnclosedCData
            | SyntaxError::UnclosedSingleQuotedAttributeValue
            | SyntaxError::UnclosedDoubleQuotedAttributeValue,
        ) => Problem::Truncated,
        XmlError::Syntax(SyntaxError::UnclosedDoctype) => Problem::Doctype,
        _ => Problem::Expected("well-formed XML"),
    }
}

/// The character that a reference, without `&` and `;`, stands for. Control characters are welcome; entities other
/// than the five of XML cannot occur, as document types are refused.
fn reference(name: &str) -> Result<char, Problem> {
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
    character.ok_or(Problem::Expected("a character reference"))
}

/// The value of an attribute.
fn unescape(written: &str) -> Result<Cow<'_, str>, Problem> {
    if !written.contains('&') {
        return Ok(Cow::Borrowed(written));
    }
    let mut value = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or(Problem::Expected("a character reference"))?;
        value.push_str(before);
        value.push(reference(name)?);
        rest = after;
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}
