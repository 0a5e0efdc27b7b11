//! Bytes to the [`Change`]s they report.
//!
//! A body goes through four steps, each in a module of its own: the legacy wrappers come off and the format is
//! recognized, a reader of that format turns it into one lossless [`Context`], and [`Message`] keeps what
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
    xml::XmlTokens,
};
pub use self::{
    context::Context,
    error::{Error, Path, Problem, Step},
    extract::AUTOMATIC_IMAGE,
    render::View,
};
use crate::{
    change::{Change, Origin},
    ids::OrganizationId,
};

/// How a body is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON, by `DataContractJsonSerializer`.
    Json,
    /// XML text, by `DataContractSerializer`.
    Xml,
    /// .NET binary XML, by `DataContractSerializer`.
    Binary,
}

/// What a message reports, freed from the format it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The format it came in.
    pub format: Format,
    /// Name of the pipeline message: `Create`, `Update`, ...
    pub name: Box<str>,
    /// Organization that posted it.
    pub organization: Option<OrganizationId>,
    /// Whether there are no input parameters at all, which only the size limit of the sender can be the reason of.
    pub truncated: bool,
    /// Where it came from.
    pub origin: Origin,
    /// What it is about.
    pub subject: Subject,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Contacts changed: one, or as many as a message about several names.
    Contacts {
        /// Their changes, in the order of the message.
        changes: Vec<Change>,
        /// What a message about several holds besides.
        unread: Vec<Unread>,
    },
    /// Contacts changed, but the size limit of the sender removed even which.
    Stripped,
    /// A contact is concerned, but the message is one that leaves columns alone: `Associate`, `Retrieve`.
    NoChange,
    /// A message of a name that we do not know, without a contact that it changes.
    Unsupported,
    /// A record of another table.
    OtherEntity {
        /// Logical name of the table.
        name: Box<str>,
    },
}

/// One of several records in a message that is no change of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Its place among the `Targets`, counted from 1.
    pub position: usize,
    /// What is wrong with it.
    pub why: Unreadable,
}

/// Why a record among several is no change of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not say which contact it is.
    NoId,
    /// It is a record of another table.
    OtherTable,
}

impl Subject {
    fn of(change: Change) -> Self {
        Self::Contacts { changes: vec![change], unread: Vec::new() }
    }
}

impl Message {
    /// The changes of contacts; none unless the [subject](Self::subject) is contacts.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        match &self.subject {
            Subject::Contacts { changes, .. } => changes,
            Subject::Stripped | Subject::NoChange | Subject::Unsupported | Subject::OtherEntity { .. } => &[],
        }
    }

    /// Notes that the message carried the property with which the sender marks a context it has cut. A body that
    /// is whole is believed all the same; the mark only explains what is missing from it.
    pub fn mark_truncated(&mut self) {
        self.origin.marked = true;
        if let Subject::Contacts { changes, .. } = &mut self.subject {
            for change in changes {
                change.origin.marked = true;
            }
        }
    }

    /// Whether a key of a message's application properties is that marker. Where it stands in the key is not
    /// documented, so it may stand anywhere.
    #[must_use]
    pub fn is_truncation_marker(property: &str) -> bool {
        property.contains("MessageMaxSizeExceeded")
    }
}

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
    pub fn message(&self) -> Result<Message, Error> {
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
pub fn decode(body: &[u8], content_type: Option<&str>) -> Result<Message, Error> {
    open(body, content_type)?.message()
}

/// The body as text.
fn text(body: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(body).map_err(|error| Error::new(Problem::Encoding("UTF-8"), error.valid_up_to()))
}

/// The context that an XML document in whichever spelling holds.
fn document<'a, T: Tokens<'a>>(tokens: T, extent: Extent) -> Result<Box<Context<'a>>, Error> {
    let mut cursor = Cursor::new(tokens)?;
    let root = cursor.element();
    if (root.namespace, root.name) != (Some(Namespace::Xrm), "RemoteExecutionContext") {
        return Err(cursor.fail(Problem::Expected("a RemoteExecutionContext")));
    }
    let context = contract::context(&mut cursor, extent)?;
    cursor.end()?;
    Ok(context)
}
