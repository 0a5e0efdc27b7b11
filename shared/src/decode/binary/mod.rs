//! .NET binary XML ([MC-NBFX]) without dictionary and session, which is how Dataverse writes it.

mod bytes;
mod skip;
mod text;

use self::bytes::Bytes;
use super::{
    error::{DecodeProblem, Error},
    infoset::{Attribute, Element, Frame, Scalar, Token, Tokens, at},
};

const END_ELEMENT: u8 = 0x01;
const COMMENT: u8 = 0x02;
const ARRAY: u8 = 0x03;
const SHORT_ATTRIBUTE: u8 = 0x04;
const ATTRIBUTE: u8 = 0x05;
const SHORT_XMLNS: u8 = 0x08;
const XMLNS: u8 = 0x09;
const PREFIX_DICTIONARY_ATTRIBUTE_A: u8 = 0x0C;
const PREFIX_ATTRIBUTE_A: u8 = 0x26;
const PREFIX_ATTRIBUTE_Z: u8 = 0x3F;
const SHORT_ELEMENT: u8 = 0x40;
const ELEMENT: u8 = 0x41;
const SHORT_DICTIONARY_ELEMENT: u8 = 0x42;
const DICTIONARY_ELEMENT: u8 = 0x43;
const PREFIX_DICTIONARY_ELEMENT_A: u8 = 0x44;
const PREFIX_DICTIONARY_ELEMENT_Z: u8 = 0x5D;
const PREFIX_ELEMENT_A: u8 = 0x5E;
const PREFIX_ELEMENT_Z: u8 = 0x77;
/// The first of the text records; they have even numbers, and the odd one behind each also ends the element.
const TEXT: u8 = 0x80;

/// One-letter prefixes, which records can carry in their type.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// Whether a document can begin with a byte.
pub(super) fn can_begin(byte: u8) -> bool {
    byte == COMMENT || (SHORT_ELEMENT..=PREFIX_ELEMENT_Z).contains(&byte)
}

/// Whether a document of Dataverse or of a legacy wrapper begins with a byte: anything else in [`can_begin`] is a
/// letter, and more likely the beginning of some text.
pub(super) fn does_begin(byte: u8) -> bool {
    matches!(byte, COMMENT | SHORT_ELEMENT..=DICTIONARY_ELEMENT)
}

/// The pieces of a binary document.
pub(super) struct BinaryTokens<'a> {
    bytes: Bytes<'a>,
    frame: Frame<'a>,
    attributes: Vec<Attribute<'a>>,
    /// Whether the text handed out last also ends its element.
    ended: bool,
    array: Option<Array<'a>>,
}

/// An array record whose items are being handed out as elements.
struct Array<'a> {
    element: Element<'a>,
    /// Text record of each item.
    record: u8,
    left: u32,
    /// Whether an item's element was handed out, so that its text comes next.
    begun: bool,
}

impl<'a> BinaryTokens<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let (bytes, frame) = (Bytes::new(body), Frame::default());
        Self { bytes, frame, attributes: Vec::new(), ended: false, array: None }
    }

    /// An element with its attributes and declarations, given its record.
    fn element(&mut self, record: u8) -> Result<Element<'a>, Error> {
        let offset = self.bytes.offset();
        let prefix = match record {
            SHORT_ELEMENT | SHORT_DICTIONARY_ELEMENT => "",
            ELEMENT | DICTIONARY_ELEMENT => self.bytes.name()?,
            PREFIX_DICTIONARY_ELEMENT_A..=PREFIX_DICTIONARY_ELEMENT_Z => {
                letter(record - PREFIX_DICTIONARY_ELEMENT_A)
            }
            PREFIX_ELEMENT_A..=PREFIX_ELEMENT_Z => letter(record - PREFIX_ELEMENT_A),
            _ => return Err(self.bytes.fail(DecodeProblem::Expected("an element record"))),
        };
        let dictionary = matches!(record, SHORT_DICTIONARY_ELEMENT..=PREFIX_DICTIONARY_ELEMENT_Z);
        let name = if dictionary { return Err(self.bytes.dictionary()) } else { self.bytes.name()? };
        while let Some(record @ SHORT_ATTRIBUTE..=PREFIX_ATTRIBUTE_Z) = self.bytes.peek() {
            self.bytes.byte()?;
            self.attribute(record)?;
        }
        // The attributes may use prefixes that are declared behind them, hence the order.
        self.frame.open(prefix, name, &mut self.attributes).map_err(at(offset))
    }

    /// An attribute or a namespace declaration, given its record.
    fn attribute(&mut self, record: u8) -> Result<(), Error> {
        let offset = self.bytes.offset();
        let prefix = match record {
            SHORT_ATTRIBUTE => "",
            ATTRIBUTE => self.bytes.name()?,
            SHORT_XMLNS | XMLNS => {
                let prefix = if record == XMLNS { self.bytes.name()? } else { "" };
                let uri = self.bytes.name()?;
                return self.frame.declare(prefix, uri.into()).map_err(at(offset));
            }
            PREFIX_ATTRIBUTE_A..=PREFIX_ATTRIBUTE_Z => letter(record - PREFIX_ATTRIBUTE_A),
            _ => {
                // What is left are the records with dictionary strings: 07 and 0B have a prefix before it.
                let prefixed = record < PREFIX_DICTIONARY_ATTRIBUTE_A && record % 2 == 1;
                return Err(if prefixed {
                    self.bytes.name().map_or_else(|e| e, |_| self.bytes.dictionary())
                } else {
                    self.bytes.dictionary()
                });
            }
        };
        let name = self.bytes.name()?;
        let record = self.bytes.byte()?;
        if record < TEXT || record % 2 == 1 {
            return Err(self.bytes.fail(DecodeProblem::Expected("a text record")));
        }
        let value = text::scalar(&mut self.bytes, record)?;
        let value = value.into_text().ok_or_else(|| self.bytes.fail(DecodeProblem::Encoding("UTF-16")))?;
        self.frame.count().map_err(at(offset))?;
        self.attributes.push(Attribute { prefix, name, value });
        Ok(())
    }

    /// The head of an array: an element that stands for all items, the type of the items and their number.
    fn array(&mut self) -> Result<(), Error> {
        let record = self.bytes.byte()?;
        let element = self.element(record)?;
        // The declarations have done their work; every item is opened and closed for itself.
        self.frame.close();
        if self.bytes.byte()? != END_ELEMENT {
            return Err(self.bytes.fail(DecodeProblem::Expected("the end of an array's element")));
        }
        let record = self.bytes.byte()?;
        if !text::fits_array(record) {
            return Err(self.bytes.fail(DecodeProblem::Expected("a record type for the items of an array")));
        }
        let left = self.bytes.length()?;
        self.array = Some(Array { element, record: record - 1, left, begun: false });
        Ok(())
    }

    /// The next piece of an array, if there is one.
    fn item(&mut self) -> Result<Option<Token<'a>>, Error> {
        let Some(array) = &mut self.array else { return Ok(None) };
        if array.begun {
            array.begun = false;
            self.ended = true;
            return text::scalar(&mut self.bytes, array.record).map(Token::Text).map(Some);
        }
        if array.left == 0 {
            self.array = None;
            return Ok(None);
        }
        array.left -= 1;
        array.begun = true;
        self.frame.enter().map_err(at(self.bytes.offset()))?;
        Ok(Some(Token::Start(array.element.clone())))
    }

    fn close(&mut self) -> Result<Token<'a>, Error> {
        if self.frame.close() {
            Ok(Token::End)
        } else {
            Err(self.bytes.fail(DecodeProblem::Expected("an element record")))
        }
    }

    fn text(&mut self, record: u8) -> Result<Scalar<'a>, Error> {
        if self.frame.depth() == 0 {
            return Err(self.bytes.fail(DecodeProblem::Expected("an element record")));
        }
        self.frame.count().map_err(at(self.bytes.offset()))?;
        self.ended = record % 2 == 1;
        text::scalar(&mut self.bytes, record & !1)
    }
}

impl<'a> Tokens<'a> for BinaryTokens<'a> {
    fn next(&mut self) -> Result<Token<'a>, Error> {
        if std::mem::take(&mut self.ended) {
            return self.close();
        }
        loop {
            if self.array.is_some()
                && let Some(token) = self.item()?
            {
                return Ok(token);
            }
            match self.bytes.byte()? {
                END_ELEMENT => return self.close(),
                COMMENT => self.bytes.name().map(drop)?,
                ARRAY => self.array()?,
                record @ SHORT_ELEMENT..=PREFIX_ELEMENT_Z => return self.element(record).map(Token::Start),
                record @ TEXT.. => return self.text(record).map(Token::Text),
                _ => return Err(self.bytes.fail(DecodeProblem::Expected("an element, text or end record"))),
            }
        }
    }

    fn skip(&mut self) -> Result<(), Error> {
        self.skip_element()
    }

    fn end(&mut self) -> Result<(), Error> {
        loop {
            match self.bytes.peek() {
                None => return Ok(()),
                Some(COMMENT) => {
                    self.bytes.byte()?;
                    self.bytes.name()?;
                }
                Some(_) => return Err(Error::new(DecodeProblem::Trailing, self.bytes.offset())),
            }
        }
    }

    fn offset(&self) -> usize {
        self.bytes.offset()
    }
}

fn letter(index: u8) -> &'static str {
    let index = usize::from(index);
    LETTERS.get(index..=index).unwrap_or_default()
}
