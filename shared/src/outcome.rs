//! How a message ends.

use crate::{plan::SkipReason, reason::DeadLetter};

/// What becomes of a message, with all that is needed to settle it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is in Graph.
    Applied,
    /// Newer values than its own are in Graph.
    Stale,
    /// It needs no write.
    Unchanged(SkipReason),
    /// Taken out of the queue for good, for this reason.
    DeadLettered(DeadLetter),
    /// Handed back as a scheduled copy, because it failed for this reason; a dead letter only if the copy is refused.
    Returned(DeadLetter),
    /// Only removed: a copy that was sent before takes its place.
    Copied,
    /// Given back untouched; no attempt of it is counted.
    Released,
}

impl Outcome {
    /// The outcome without its reason, for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Unchanged(_) => "unchanged",
            Self::DeadLettered(_) => "dead_lettered",
            Self::Returned(_) => "returned",
            Self::Copied => "copied",
            Self::Released => "released",
        }
    }

    /// What failed, for a message that is dead-lettered or comes back later.
    #[must_use]
    pub const fn letter(&self) -> Option<&DeadLetter> {
        match self {
            Self::DeadLettered(letter) | Self::Returned(letter) => Some(letter),
            Self::Applied | Self::Stale | Self::Unchanged(_) | Self::Copied | Self::Released => None,
        }
    }

    /// Of several changes in one message the gravest outcome is the message's: applying a change twice is harmless,
    /// and losing one is not.
    pub(crate) const fn gravity(&self) -> u8 {
        match self {
            Self::Stale | Self::Copied => 0,
            Self::Unchanged(_) => 1,
            Self::Applied => 2,
            Self::DeadLettered(_) => 3,
            Self::Released => 4,
            // A message that was set aside must not come back at once, and be the first again, because another change of
            // it was given back.
            Self::Returned(_) => 5,
        }
    }
}
