//! How much is in the queue: what is known, how it came to be known, and what must not be believed.
//!
//! [`Reader`] asks the management interface and looks into the queue besides; [`BacklogReading`] is what came of it.
//! Unknown is a value of its own here and never a count of 0: an empty queue is good news, and nobody should get good
//! news because a call failed.

mod letters;
mod look;
mod pace;
mod poller;
mod reader;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use servicebus::QueueCounts;

pub(crate) use self::letters::poll_letters;
pub use self::{
    look::{QueueSample, census},
    pace::PollInterval,
    poller::poll,
    reader::{Reader, SampleLimits},
};

/// What one look at the queue as a whole has brought.
#[derive(Clone, Debug)]
pub struct BacklogReading {
    /// When it was taken.
    pub at: Timestamp,
    /// How much there is, or why that is not known.
    pub counts: Result<QueueCounts, Unknown>,
    /// Since when the oldest change waits.
    pub oldest: Oldest,
    /// Dead letters by reason, as many as were looked at; empty if nobody asked.
    pub reasons: Reasons,
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
