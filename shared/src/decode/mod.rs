//! Bytes to the [`Change`](crate::change::Change)s they report.
//!
//! A body goes through four steps, each in a module of its own: the legacy wrappers come off and the format is
//! recognized, a reader of that format turns it into one lossless [`Context`], and [`DecodedMessage`] keeps what
//! matters of it. All of it is defensive: a body can come from anybody who may send to the queue.

mod binary;
mod columns;
pub mod context;
mod contract;
pub mod datetime;
mod error;
mod extract;
mod infoset;
mod json;
pub mod limits;
mod message;
mod namespace;
mod number;
mod open;
mod pipeline;
mod render;
pub mod value;
mod xml;

use std::borrow::Cow;

use self::{
    binary::BinaryTokens,
    contract::{Extent, Source as _},
    infoset::{Cursor, Tokens},
    namespace::Namespace,
    open::text,
    xml::XmlTokens,
};
pub use self::{
    context::Context,
    error::{DecodeProblem, Error, Path, PathStep},
    extract::AUTOMATIC_IMAGE,
    message::{DecodedMessage, Format, Subject, Unread, Unreadable},
    render::View,
};

/// A body without its wrappers, whose format is known.
#[derive(Clone, Debug)]
pub struct Payload<'b> {
    format: Format,
    body: Cow<'b, [u8]>,
}

impl Payload<'_> {
    /// The format of what was wrapped, or of the body itself.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The document without its wrappers: UTF-8 for the two text forms.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// All that the body says, without loss. Borrows from the body wherever the format allows it.
    pub fn context(&self) -> Result<Context<'_>, Error> {
        self.read(Extent::All).map(|context| *context)
    }

    /// What the body reports. Parents and shared variables have no part in it, so mistakes in them go unnoticed here.
    pub fn message(&self) -> Result<DecodedMessage, Error> {
        extract::message(&*self.read(Extent::Change)?, self.format)
    }

    fn read(&self, extent: Extent) -> Result<Box<Context<'_>>, Error> {
        match self.format {
            Format::Json => json::context(text(&self.body)?, extent),
            Format::Xml => document(XmlTokens::new(text(&self.body)?), extent),
            Format::Binary => document(BinaryTokens::new(&self.body), extent),
        }
    }
}

/// Recognizes the format and removes the wrappers of old senders. The bytes decide, the content type is only a hint.
pub fn open<'b>(body: &'b [u8], content_type: Option<&str>) -> Result<Payload<'b>, Error> {
    let (format, body) = open::open(body, content_type)?;
    Ok(Payload { format, body })
}

/// Decodes a body to what it reports.
pub fn decode(body: &[u8], content_type: Option<&str>) -> Result<DecodedMessage, Error> {
    open(body, content_type)?.message()
}

/// The context that an XML document in whichever spelling holds.
fn document<'a, T: Tokens<'a>>(tokens: T, extent: Extent) -> Result<Box<Context<'a>>, Error> {
    let mut cursor = Cursor::new(tokens)?;
    let root = cursor.element();
    if (root.namespace, root.name) != (Some(Namespace::Xrm), "RemoteExecutionContext") {
        return Err(cursor.fail(DecodeProblem::Expected("a RemoteExecutionContext")));
    }
    let context = contract::context(&mut cursor, extent)?;
    cursor.end()?;
    Ok(context)
}
