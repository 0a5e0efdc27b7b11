//! What was asked, in order, for assertions.

use std::collections::VecDeque;

use serde::Serialize;
use uuid::Uuid;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its place in the order in which requests were answered, from 1.
    pub number: u64,
    /// The HTTP method.
    pub method: String,
    /// The path with its query, as it was sent.
    pub path: String,
    /// Whether it was part of a batch; parts stand before their batch.
    pub in_batch: bool,
    /// What it preferred.
    pub prefer: String,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// The names of the properties that its body set.
    pub properties: Vec<String>,
    /// The status that the client got; none if it got no answer at all.
    pub status: Option<u16>,
    /// The error code in the answer.
    pub code: Option<String>,
    /// Rows that the answer held.
    pub rows: usize,
    /// Secret columns that were named or returned: what no integration should ever ask for.
    pub secrets: Vec<String>,
    /// The app that made the call.
    pub app: Option<Uuid>,
    /// The scripted fault that was used.
    pub fault: Option<u64>,
}

/// The latest entries.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    last: u64,
}

/// How many are kept.
const KEPT: usize = 100_000;

impl Journal {
    /// Numbers an entry and keeps it.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        self.last += 1;
        entry.number = self.last;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Entries after `number`, oldest first, as far as they are still kept.
    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.number > number)
    }
}
