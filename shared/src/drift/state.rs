//! What a run leaves for the next one: counts to hold against, who differed and where reading goes on, and what it has
//! posted.
//!
//! A run that was killed while it read begins anew, because reading is cheap. Once it has read everything, who differs and the
//! link to what has changed since are kept, so that a run that was killed while it posted looks only at those. What it had
//! posted and nobody has consumed yet would be posted twice, so there is a line for each message.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::baseline::Baseline;
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
    /// Contacts that are linked with a user.
    pub linked: u64,
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
    /// Where the next run can go on.
    pub baseline: Option<Baseline>,
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
    tracking: Option<Tracking>,
    run: Option<Box<str>>,
}

/// A baseline without its contacts; times in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tracking {
    link: Option<Box<str>>,
    full_at: i64,
}

/// A line for each contact that differed, and one for each message.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Differed(Box<str>),
    Posted(Box<str>),
}

/// The form that is written.
const FORM: u8 = 2;

impl ReconcileState {
    /// Nothing is known.
    #[must_use]
    pub fn new(settings: StateScope) -> Self {
        Self { settings, last: None, baseline: None, run: None, posted: Vec::new() }
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
        let (mut known, mut posted) = (Vec::new(), Vec::new());
        for line in lines.filter(|line| line.ends_with('\n')) {
            match serde_json::from_str(line).ok()? {
                Line::Differed(contact) => known.push(id(&contact)?),
                Line::Posted(contact) => posted.push(id(&contact)?),
            }
        }
        let run = match head.run {
            Some(text) => Some(Uuid::try_parse(&text).ok()?),
            None => None,
        };
        let baseline = match head.tracking {
            Some(Tracking { link, full_at }) => {
                Some(Baseline { link, full_at: Timestamp::from_millisecond(full_at).ok()?, known })
            }
            None => None,
        };
        Some(Self { settings: head.settings, last: head.last, baseline, run, posted })
    }

    /// The whole file.
    #[must_use]
    pub fn write(&self) -> String {
        let Self { settings, last, baseline, run, posted } = self;
        let tracking = baseline.as_ref().map(|baseline| Tracking {
            link: baseline.link.clone(),
            full_at: baseline.full_at.as_millisecond(),
        });
        let run = run.map(|run| run.to_string().into());
        let head =
            Head { contactsync_reconcile: FORM, settings: settings.clone(), last: *last, tracking, run };
        // Our own types always serialize.
        let mut text = serde_json::to_string(&head).unwrap_or_default();
        text.push('\n');
        let known = baseline.iter().flat_map(|baseline| &baseline.known);
        text.extend(known.map(|contact| Line::Differed(contact.to_string().into()).text()));
        text.extend(posted.iter().map(|contact| Self::line(*contact)));
        text
    }

    /// One more line, which is written before its message is sent.
    #[must_use]
    pub fn line(contact: ContactId) -> String {
        Line::Posted(contact.to_string().into()).text()
    }
}

impl Line {
    fn text(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

fn id(text: &str) -> Option<ContactId> {
    Uuid::try_parse(text).ok().map(ContactId)
}
