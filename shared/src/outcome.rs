//! How a message ends.

use crate::{mass_change::Stream, plan::SkipReason, reason::DeadLetter};

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
    /// Set aside as a copy far in the future, until somebody has decided about it: in these streams too many users are
    /// changed.
    HeldAside(Box<[Stream]>),
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
            Self::HeldAside(_) => "held_aside",
            Self::Copied => "copied",
            Self::Released => "released",
        }
    }

    /// What failed, for a message that is dead-lettered or comes back later.
    #[must_use]
    pub const fn letter(&self) -> Option<&DeadLetter> {
        match self {
            Self::DeadLettered(letter) | Self::Returned(letter) => Some(letter),
            Self::Applied
            | Self::Stale
            | Self::Unchanged(_)
            | Self::HeldAside(_)
            | Self::Copied
            | Self::Released => None,
        }
    }

    /// Whether a copy is sent that takes the message's place.
    #[must_use]
    pub const fn sends_copy(&self) -> bool {
        matches!(self, Self::Returned(_) | Self::HeldAside(_))
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
            Self::Returned(_) | Self::HeldAside(_) => 5,
        }
    }
}
