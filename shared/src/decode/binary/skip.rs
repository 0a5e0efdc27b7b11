//! Stepping over elements that nobody reads, without giving their names a meaning.

use super::{
    ARRAY, ATTRIBUTE, BinaryTokens, COMMENT, ELEMENT, END_ELEMENT, PREFIX_ATTRIBUTE_A, PREFIX_ATTRIBUTE_Z,
    PREFIX_ELEMENT_A, PREFIX_ELEMENT_Z, SHORT_ATTRIBUTE, SHORT_ELEMENT, SHORT_XMLNS, TEXT, XMLNS, text,
};
use crate::decode::{
    error::{DecodeProblem, Error},
    infoset::at,
};

impl BinaryTokens<'_> {
    /// Steps over the rest of the innermost open element, its end included.
    pub(super) fn skip_element(&mut self) -> Result<(), Error> {
        let outer = self.frame.depth().saturating_sub(1);
        if std::mem::take(&mut self.ended) {
            self.close()?;
        }
        while self.frame.depth() > outer {
            if self.array.is_none() || self.item()?.is_none() {
                self.skip_record()?;
            }
            if std::mem::take(&mut self.ended) {
                self.close()?;
            }
        }
        Ok(())
    }

    fn skip_record(&mut self) -> Result<(), Error> {
        match self.bytes.byte()? {
            END_ELEMENT => self.ended = true,
            COMMENT => self.bytes.skip_name()?,
            ARRAY => self.array()?,
            record @ (SHORT_ELEMENT | ELEMENT | PREFIX_ELEMENT_A..=PREFIX_ELEMENT_Z) => {
                self.skip_names(record == ELEMENT)?;
                while let Some(record @ SHORT_ATTRIBUTE..=PREFIX_ATTRIBUTE_Z) = self.bytes.peek() {
                    self.bytes.byte()?;
                    self.skip_attribute(record)?;
                }
                self.frame.enter().map_err(at(self.bytes.offset()))?;
            }
            record @ TEXT.. => {
                self.frame.count().map_err(at(self.bytes.offset()))?;
                self.ended = record % 2 == 1;
                text::skip(&mut self.bytes, record & !1)?;
            }
            // Dictionaries and what is no record at all are refused with the words of the reader.
            record => self.element(record).map(drop)?,
        }
        Ok(())
    }

    fn skip_attribute(&mut self, record: u8) -> Result<(), Error> {
        match record {
            SHORT_XMLNS | XMLNS => return self.skip_names(record == XMLNS),
            SHORT_ATTRIBUTE | ATTRIBUTE | PREFIX_ATTRIBUTE_A..=PREFIX_ATTRIBUTE_Z => {
                self.skip_names(record == ATTRIBUTE)?;
            }
            _ => return self.attribute(record),
        }
        let record = self.bytes.byte()?;
        if record < TEXT || record % 2 == 1 {
            return Err(self.bytes.fail(DecodeProblem::Expected("a text record")));
        }
        text::skip(&mut self.bytes, record)
    }

    /// One name, or two with a prefix.
    fn skip_names(&mut self, prefixed: bool) -> Result<(), Error> {
        if prefixed {
            self.bytes.skip_name()?;
        }
        self.bytes.skip_name()
    }
}
