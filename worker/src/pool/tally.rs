//! What happened so far in this process, counted where it is decided.

use std::{collections::BTreeMap, fmt};

use shared::{lanes::Verdict, plan::Needless, reason::DeadLetterReason};

/// How a message ended. Closed, because metrics and logs use it as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Its effect is in Graph.
    Applied,
    /// Newer values than its own are in Graph.
    Stale,
    /// It needed no write.
    Unchanged(Needless),
    /// Taken out of the queue.
    DeadLettered(DeadLetterReason),
    /// Handed back for later, as a scheduled copy.
    Returned,
    /// Given back untouched.
    Released,
    /// Its settlement did not reach the queue; it will come again.
    Unsettled,
}

impl Ending {
    /// The ending without its reason, for logs and metrics.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Unchanged(_) => "unchanged",
            Self::DeadLettered(_) => "dead_lettered",
            Self::Returned => "returned",
            Self::Released => "released",
            Self::Unsettled => "unsettled",
        }
    }

    /// The reason, where there is one.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unchanged(needless) => needless.as_str(),
            Self::DeadLettered(reason) => reason.as_str(),
            Self::Applied | Self::Stale | Self::Returned | Self::Released | Self::Unsettled => "",
        }
    }
}

impl From<&Verdict> for Ending {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Applied => Self::Applied,
            Verdict::Stale => Self::Stale,
            Verdict::RetryLater(_) => Self::Returned,
            Verdict::DeadLetter(letter) => Self::DeadLettered(letter.reason),
            Verdict::Release => Self::Released,
        }
    }
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Messages handed to us, redeliveries included.
    pub received: u64,
    /// How they ended.
    pub endings: BTreeMap<Ending, u64>,
    /// Writes that Graph accepted.
    pub writes: u64,
    /// Writes that failed, whatever became of them.
    pub failed_writes: u64,
    /// Changes that the accepted writes carried.
    pub changes_written: u64,
    /// Locks found to be lost.
    pub locks_lost: u64,
}

impl Tally {
    /// Counts an ending.
    pub fn count(&mut self, ending: Ending) {
        *self.endings.entry(ending).or_default() += 1;
    }

    fn of(&self, outcome: &str) -> u64 {
        self.endings.iter().filter(|(ending, _)| ending.outcome() == outcome).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} received, {} applied in {} writes, {} stale, {} needed no write, {} dead-lettered, {} returned \
             for later, {} released, {} not settled",
            self.received,
            self.of("applied"),
            self.writes,
            self.of("stale"),
            self.of("unchanged"),
            self.of("dead_lettered"),
            self.of("returned"),
            self.of("released"),
            self.of("unsettled"),
        )
    }
}
