//! The primitive encodings of [MC-NBFX], read from a slice that is never left.

use crate::decode::error::{DecodeProblem, Error};

/// A cursor in a binary document.
#[derive(Debug)]
pub(super) struct Bytes<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// A problem with the record or value that was read last.
    pub(super) fn fail(&self, problem: DecodeProblem) -> Error {
        Error::new(problem, self.at)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let byte = self.peek().ok_or_else(|| self.fail(DecodeProblem::Truncated))?;
        self.at += 1;
        Ok(byte)
    }

    /// Bytes of a length that the sender announces: what is not there is not allocated.
    pub(super) fn slice(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let rest = &self.body[self.at..];
        let slice = rest.get(..length).ok_or_else(|| self.fail(DecodeProblem::Truncated))?;
        self.at += length;
        Ok(slice)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let rest = &self.body[self.at..];
        let array = rest.first_chunk().ok_or_else(|| self.fail(DecodeProblem::Truncated))?;
        self.at += N;
        Ok(*array)
    }

    /// A `MultiByteInt31`: seven bits a byte, low ones first, the top bit set on all but the last.
    pub(super) fn length(&mut self) -> Result<u32, Error> {
        // Nearly all lengths fit the first byte.
        if let Some(byte @ 0..=0x7F) = self.peek() {
            self.at += 1;
            return Ok(byte.into());
        }
        let mut number = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            if shift == 28 && byte > 7 {
                break;
            }
            number |= u32::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.fail(DecodeProblem::Expected("an integer of 31 bits")))
    }

    /// A length-prefixed name, namespace or comment.
    pub(super) fn name(&mut self) -> Result<&'a str, Error> {
        let length = self.name_length()?;
        self.utf8(length)
    }

    /// Steps over a name, namespace or comment.
    pub(super) fn skip_name(&mut self) -> Result<(), Error> {
        let length = self.name_length()?;
        self.slice(length).map(drop)
    }

    fn name_length(&mut self) -> Result<usize, Error> {
        let length = self.length()?;
        usize::try_from(length).map_err(|_| self.fail(DecodeProblem::Truncated))
    }

    /// Text of a length in bytes.
    pub(super) fn utf8(&mut self, length: usize) -> Result<&'a str, Error> {
        let start = self.at;
        let text = std::str::from_utf8(self.slice(length)?);
        text.map_err(|error| Error::new(DecodeProblem::Encoding("UTF-8"), start + error.valid_up_to()))
    }

    /// The error that a reference into a dictionary is.
    pub(super) fn dictionary(&mut self) -> Error {
        let start = self.at;
        match self.length() {
            Ok(id) => Error::new(DecodeProblem::Dictionary(id), start),
            Err(error) => error,
        }
    }
}
