//! What is held aside, for whoever looks at a worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::mass_change::Stream;

/// Streams that are told one by one; whoever wants all asks `contactsync held list`.
const TOLD: usize = 20;

/// Messages that are held aside in the queue, as the writer knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HeldAsideReport {
    /// How many.
    pub(crate) messages: u64,
    /// Streams that they are of.
    pub(crate) streams: u64,
    /// The largest of those.
    pub(crate) largest: Vec<HeldStreamReport>,
}

/// Those of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HeldStreamReport {
    /// Whose changes: `user:ID`, `run:ID` or `unknown`.
    pub(crate) author: String,
    /// Property of the users.
    pub(crate) property: String,
    /// `blanked` or `rewritten`.
    pub(crate) kind: String,
    /// How many messages.
    pub(crate) messages: u64,
    /// Since when, as RFC 3339 has it.
    pub(crate) since: String,
}

impl HeldAsideReport {
    /// Of so many messages, and these streams, with the messages of each and since when.
    pub(crate) fn new<'s>(
        messages: u64,
        streams: impl IntoIterator<Item = (&'s Stream, u64, Timestamp)>,
    ) -> Self {
        let mut largest: Vec<_> = streams.into_iter().collect();
        let streams = largest.len() as u64;
        largest.sort_by_key(|(stream, messages, _)| (std::cmp::Reverse(*messages), *stream));
        let told = |(stream, messages, since): (&Stream, u64, Timestamp)| HeldStreamReport {
            author: stream.author.to_string(),
            property: stream.property.to_string(),
            kind: stream.kind.as_str().to_owned(),
            messages,
            since: format!("{since:.0}"),
        };
        Self { messages, streams, largest: largest.into_iter().take(TOLD).map(told).collect() }
    }

    /// Whether nothing is held.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }
}

/// The latest report.
#[derive(Debug, Default)]
pub(super) struct LatestReport(Mutex<HeldAsideReport>);

impl LatestReport {
    pub(super) fn set(&self, report: HeldAsideReport) {
        *self.seen() = report;
    }

    pub(super) fn get(&self) -> HeldAsideReport {
        self.seen().clone()
    }

    fn seen(&self) -> MutexGuard<'_, HeldAsideReport> {
        // It is replaced as a whole, so whatever panicked under the lock left a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
