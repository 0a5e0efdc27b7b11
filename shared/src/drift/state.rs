//! What a run leaves for the next one: counts to hold against, and what it has posted.
//!
//! The plan of a run is cheap, so a run that was killed begins anew: what it had done is no difference any more. Only what
//! it had posted and nobody has consumed yet would be posted twice, and that is what is kept: a line for each message.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::ContactId;

/// What a state file belongs to. Of other settings, nothing in it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateScope {
    /// The id of the organization.
    pub organization: Box<str>,
    /// The directory, as far as the settings tell.
    pub directory: Box<str>,
    /// The columns that are read, sorted.
    pub columns: Vec<Box<str>>,
}

/// Counts of the last full run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRun {
    /// Contacts read.
    pub contacts: u64,
    /// Users read.
    pub users: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// What is known of earlier runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileState {
    /// What it belongs to.
    pub settings: StateScope,
    /// The last full run.
    pub last: Option<LastRun>,
    /// The run whose messages may still wait.
    pub run: Option<Uuid>,
    /// Contacts of its messages, by the number of the message.
    pub posted: Vec<ContactId>,
}

/// First line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    contactsync_reconcile: u8,
    settings: StateScope,
    last: Option<LastRun>,
    run: Option<Box<str>>,
}

/// A line for each message.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    contact: Box<str>,
}

/// The form that is written.
const FORM: u8 = 1;

impl ReconcileState {
    /// Nothing is known.
    #[must_use]
    pub fn new(settings: StateScope) -> Self {
        Self { settings, last: None, run: None, posted: Vec::new() }
    }

    /// Reads a file. A last line that breaks off is of a run that was killed while it wrote it, so its message was not sent.
    /// `None` if it is no such file, or one of other settings.
    #[must_use]
    pub fn read(text: &str, settings: &StateScope) -> Option<Self> {
        let mut lines = text.split_inclusive('\n');
        let head: Head = serde_json::from_str(lines.next()?).ok()?;
        if head.contactsync_reconcile != FORM || head.settings != *settings {
            return None;
        }
        let posted = lines.filter(|line| line.ends_with('\n')).map(contact).collect::<Option<_>>()?;
        let run = match head.run {
            Some(text) => Some(Uuid::try_parse(&text).ok()?),
            None => None,
        };
        Some(Self { settings: head.settings, last: head.last, run, posted })
    }

    /// The whole file.
    #[must_use]
    pub fn write(&self) -> String {
        let Self { settings, last, run, posted } = self;
        let run = run.map(|run| run.to_string().into());
        let head = Head { contactsync_reconcile: FORM, settings: settings.clone(), last: *last, run };
        // Our own types always serialize.
        let mut text = serde_json::to_string(&head).unwrap_or_default();
        text.push('\n');
        text.extend(posted.iter().map(|contact| Self::line(*contact)));
        text
    }

    /// One more line, which is written before its message is sent.
    #[must_use]
    pub fn line(contact: ContactId) -> String {
        let mut line =
            serde_json::to_string(&Posted { contact: contact.to_string().into() }).unwrap_or_default();
        line.push('\n');
        line
    }
}

fn contact(line: &str) -> Option<ContactId> {
    let Posted { contact } = serde_json::from_str(line).ok()?;
    Uuid::try_parse(&contact).ok().map(ContactId)
}
