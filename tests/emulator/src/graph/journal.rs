//! What happened, in order, for assertions.

use std::collections::VecDeque;

use serde::Serialize;
use uuid::Uuid;

use super::directory::Change;

/// What kind of request an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A call to Graph.
    Graph,
    /// The envelope of a batch.
    Batch,
    /// One item of a batch; it stands before its envelope.
    BatchItem,
    /// A request for a token or for the metadata of the authority.
    Token,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its place in the order in which requests took effect, from 1.
    pub number: u64,
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// The same in microseconds.
    pub at_us: u64,
    /// What kind of request it was.
    pub kind: Kind,
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The user it was about, if there is such a user.
    pub user: Option<Uuid>,
    /// The status that the client got; none if it got no answer at all.
    pub status: Option<u16>,
    /// The error code in the answer: Graph's `error.code`, or `error` of the token endpoint.
    pub code: Option<String>,
    /// Whether a write took effect, whatever the client was told about it.
    pub applied: bool,
    /// What the write changed; empty if the values were there already.
    pub changes: Vec<Change>,
    /// The app that made the call.
    pub app: Option<Uuid>,
    /// The `client-request-id` of the client, or the one made up for it.
    pub client_request_id: String,
    /// `Retry-Attempt`, with which Microsoft's clients mark their repetitions.
    pub retry_attempt: Option<String>,
    /// Whether the client asked to be throttled before others.
    pub low_priority: bool,
    /// The scripted fault that was used.
    pub fault: Option<u64>,
}

impl Entry {
    /// Whether this is a write to a user, by itself or inside a batch.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Graph | Kind::BatchItem) && self.method != "GET" && self.user.is_some()
    }

    /// The names of the properties that changed.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|change| change.property.as_str())
    }
}

/// Totals since the start or the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests of all kinds, batch items included.
    pub requests: u64,
    /// Reads of users and lists that were answered.
    pub reads: u64,
    /// Writes that took effect, whether or not they changed a value.
    pub writes: u64,
    /// Writes that took effect and changed a value.
    pub effective_writes: u64,
    /// Calls answered 429.
    pub throttled: u64,
    /// Calls answered 401.
    pub unauthorized: u64,
    /// Calls answered with another 4xx.
    pub refused: u64,
    /// Calls answered 5xx.
    pub failed: u64,
    /// Calls without an answer: the connection was reset or held.
    pub unanswered: u64,
    /// Tokens issued.
    pub tokens: u64,
    /// Requests for a token that were refused.
    pub token_errors: u64,
    /// Batches taken apart.
    pub batches: u64,
    /// Requests that met a scripted fault.
    pub faults: u64,
}

impl Counters {
    fn count(&mut self, entry: &Entry) {
        self.requests += 1;
        self.faults += u64::from(entry.fault.is_some());
        self.writes += u64::from(entry.applied);
        self.effective_writes += u64::from(!entry.changes.is_empty());
        if entry.kind == Kind::Token {
            let issued = entry.path.contains("token") && entry.status == Some(200);
            self.tokens += u64::from(issued);
            self.token_errors += u64::from(entry.status != Some(200));
            return;
        }
        self.batches += u64::from(entry.kind == Kind::Batch);
        match entry.status {
            None => self.unanswered += 1,
            Some(429) => self.throttled += 1,
            Some(401) => self.unauthorized += 1,
            Some(400..=499) => self.refused += 1,
            Some(500..) => self.failed += 1,
            Some(_) => self.reads += u64::from(entry.kind != Kind::Batch && !entry.applied),
        }
    }
}

/// The latest entries and the totals.
#[derive(Debug)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    capacity: usize,
    last: u64,
    pub(super) counters: Counters,
}

impl Journal {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1), last: 0, counters: Counters::default() }
    }

    /// Numbers an entry and keeps it.
    pub(super) fn push(&mut self, mut entry: Entry) -> u64 {
        self.last += 1;
        entry.number = self.last;
        self.counters.count(&entry);
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.last
    }

    /// The number of the last entry.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Entries after `number`, oldest first, as far as they are still kept.
    pub(super) fn since(&self, number: u64) -> impl Iterator<Item = &Entry> {
        let kept = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        let skip = number.saturating_sub(self.last - kept);
        self.entries.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    /// Forgets all entries and totals; numbers go on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.counters = Counters::default();
    }
}
