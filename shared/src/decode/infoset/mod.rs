//! What XML text and .NET binary XML have in common: elements with types and text, read by one [`Cursor`].

mod cursor;
mod scalar;
mod scope;

use super::error::Error;

pub(super) use self::{
    cursor::Cursor,
    scalar::{Decimal, Scalar},
    scope::{Attribute, Element, Frame, TypeRef, at, split},
};

/// The next thing in a document.
#[derive(Debug)]
pub(super) enum Token<'a> {
    Start(Element<'a>),
    /// A piece of text; one text may come in several.
    Text(Scalar<'a>),
    /// The innermost open element ends.
    End,
}

/// A reader that hands out a document piece by piece, comments and the like left out.
pub(super) trait Tokens<'a> {
    /// What comes next. The end of the document is an error: the cursor knows when the root is complete.
    fn next(&mut self) -> Result<Token<'a>, Error>;
    /// Steps over the rest of the innermost open element, its end included.
    fn skip(&mut self) -> Result<(), Error> {
        let mut inside = 0_usize;
        loop {
            match self.next()? {
                Token::Start(_) => inside += 1,
                Token::Text(_) => {}
                Token::End if inside == 0 => return Ok(()),
                Token::End => inside -= 1,
            }
        }
    }
    /// Makes sure that nothing comes any more.
    fn end(&mut self) -> Result<(), Error>;
    /// Where the reader stands, in bytes.
    fn offset(&self) -> usize;
}
