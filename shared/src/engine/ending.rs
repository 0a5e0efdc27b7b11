//! How a message ends: a closed list, because metrics, logs and tests use it as a label.

use crate::{lanes::Verdict, plan::Needless, reason::DeadLetterReason};

/// How a message ended.
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
    /// Only removed: a copy that was sent before takes its place.
    Copied,
    /// Given back untouched.
    Released,
    /// Its settlement did not reach the queue; it will come again.
    Unsettled,
}

impl Ending {
    /// All endings, in the order of [`Ending::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        let plain =
            [Self::Applied, Self::Stale, Self::Returned, Self::Released, Self::Unsettled, Self::Copied];
        let unchanged = Needless::ALL.into_iter().map(Self::Unchanged);
        plain.into_iter().chain(unchanged).chain(DeadLetterReason::ALL.into_iter().map(Self::DeadLettered))
    }

    /// Its place among all endings.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Applied => 0,
            Self::Stale => 1,
            Self::Returned => 2,
            Self::Released => 3,
            Self::Unsettled => 4,
            Self::Copied => 5,
            Self::Unchanged(needless) => 6 + needless as usize,
            Self::DeadLettered(reason) => 6 + Needless::ALL.len() + reason as usize,
        }
    }

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
            Self::Copied => "copied",
            Self::Unsettled => "unsettled",
        }
    }

    /// The reason, where there is one.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unchanged(needless) => needless.as_str(),
            Self::DeadLettered(reason) => reason.as_str(),
            Self::Applied
            | Self::Stale
            | Self::Returned
            | Self::Released
            | Self::Copied
            | Self::Unsettled => "",
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
