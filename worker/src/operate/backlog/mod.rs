//! How much is in the queue: what is known, how it came to be known, and what must not be believed.
//!
//! [`Reader`] asks the management interface and looks into the queue besides; [`Reading`] is what came of it.
//! Unknown is a value of its own here and never a count of 0: an empty queue is good news, and nobody should get good
//! news because a call failed.

mod look;
mod pace;
mod poller;
mod reader;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

pub use self::{
    look::{Census, census},
    pace::Pace,
    poller::poll,
    reader::{Reader, Thoroughness},
};

/// What one look at the queue as a whole has brought.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When it was taken.
    pub at: Timestamp,
    /// How many messages there are.
    pub counts: Counts,
    /// Since when the oldest change waits.
    pub oldest: Oldest,
    /// Dead letters by reason, as many as were looked at; empty if nobody asked.
    pub reasons: Reasons,
}

/// How many messages there are.
#[derive(Clone, Debug)]
pub enum Counts {
    /// Known, at least in part.
    Known(Known),
    /// Not known.
    Unknown(Unknown),
}

/// Counts that are known. What the source could not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Waiting, or under a lock.
    pub active: Option<u64>,
    /// In the dead-letter queue.
    pub dead_letter: Option<u64>,
    /// To appear later; messages that wait for their next try are among them.
    pub scheduled: Option<u64>,
    /// On the way to another entity, those that could not get there included.
    pub transfer: Option<u64>,
    /// Bytes of all of them.
    pub size_bytes: Option<u64>,
    /// Where they come from.
    pub source: Source,
}

/// Where counts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The service counted.
    #[default]
    Management,
    /// We looked at a bounded number of messages, so there may be more than were seen: lower bounds.
    Looking,
}

impl Known {
    /// Whether there may be more.
    #[must_use]
    pub fn is_lower_bound(&self) -> bool {
        self.source == Source::Looking
    }
}

/// Why counts are not known.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// What happened, with all causes in one line.
    pub why: Arc<str>,
    /// What it means for how soon to ask again.
    pub kind: UnknownKind,
}

/// What a missing answer means for how soon to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKind {
    /// The service wants to be asked less often.
    Throttled {
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
    },
    /// It said 0 while there were messages.
    Contradicted,
    /// Anything else.
    Failed,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Since when the oldest change waits. Copies that wait for their next try count from their original's arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oldest {
    /// Since then.
    Since(Timestamp),
    /// None waits.
    NoneWaits,
    /// Nobody could look.
    Unknown,
}

impl Oldest {
    /// How long it has waited at `now`; zero if none waits.
    #[must_use]
    pub fn age(self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::Since(since) => Some(Duration::try_from(now.duration_since(since)).unwrap_or_default()),
            Self::NoneWaits => Some(Duration::ZERO),
            Self::Unknown => None,
        }
    }
}

/// Dead letters by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// How many of each that were seen.
    pub seen: BTreeMap<Box<str>, u64>,
    /// Whether there are more that were not looked at.
    pub more: bool,
}
