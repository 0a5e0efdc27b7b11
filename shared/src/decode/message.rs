//! What a body reports, freed from the format that it came in.

use crate::{
    change::{Change, ChangeOrigin},
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
pub struct DecodedMessage {
    /// The format it came in.
    pub format: Format,
    /// Name of the pipeline message: `Create`, `Update`, ...
    pub name: Box<str>,
    /// Organization that posted it.
    pub organization: Option<OrganizationId>,
    /// Whether there are no input parameters at all, which only the size limit of the sender can be the reason of.
    pub truncated: bool,
    /// Where it came from.
    pub origin: ChangeOrigin,
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
    pub(super) fn of(change: Change) -> Self {
        Self::Contacts { changes: vec![change], unread: Vec::new() }
    }
}

impl DecodedMessage {
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
