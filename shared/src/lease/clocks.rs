//! Both clocks of a machine, and until when a write may be started by them.

use std::time::Duration;

use jiff::Timestamp;

use crate::monotonic_time::MonotonicTime;

/// Both clocks, read together. A suspended machine may stop one of them, and people set the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The clock that nobody sets.
    pub monotonic: MonotonicTime,
    /// The clock on the wall.
    pub wall: Timestamp,
}

impl Clocks {
    /// What is left of a time that began at `since`, by the clock that went further.
    #[must_use]
    pub fn left(self, since: Self, span: Duration) -> Duration {
        let by_wall = self.wall.duration_since(since.wall);
        // A wall clock that was set back tells nothing.
        let by_wall = Duration::try_from(by_wall).unwrap_or_default();
        span.saturating_sub(by_wall.max(self.monotonic - since.monotonic))
    }
}

/// Whether a write may be started. To be asked immediately before the call is handed over, and again after a new
/// connection was made for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// There is no lease, and this is the only replica.
    Alone,
    /// None may.
    Shut,
    /// One may, for some time.
    Open {
        /// The term that the write belongs to.
        term: u64,
        /// Not before this time.
        from: MonotonicTime,
        /// When the last renewal that was answered was sent.
        since: Clocks,
        /// How long after that.
        span: Duration,
    },
}

impl Fence {
    /// Whether a write may be started at this moment.
    #[must_use]
    pub fn holds(self, now: Clocks) -> bool {
        match self {
            Self::Alone => true,
            Self::Shut => false,
            Self::Open { from, .. } => from <= now.monotonic && !self.left(now).is_zero(),
        }
    }

    /// How long it stays open without another renewal; zero without a lease.
    #[must_use]
    pub fn left(self, now: Clocks) -> Duration {
        match self {
            Self::Alone | Self::Shut => Duration::ZERO,
            Self::Open { since, span, .. } => now.left(since, span),
        }
    }

    /// The term that writes belong to.
    #[must_use]
    pub fn term(self) -> Option<u64> {
        match self {
            Self::Alone | Self::Shut => None,
            Self::Open { term, .. } => Some(term),
        }
    }
}
