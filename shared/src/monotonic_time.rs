//! Time inside the pure core: how long ago the engine started. The caller brings it, so simulations and
//! tests can make it whatever they like.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// A point in time, as the time since the engine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicTime(Duration);

impl MonotonicTime {
    /// The start.
    pub const START: Self = Self(Duration::ZERO);

    /// This long after the start.
    #[must_use]
    pub const fn after_start(since: Duration) -> Self {
        Self(since)
    }

    /// How long after the start this is.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for MonotonicTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

impl Sub for MonotonicTime {
    type Output = Duration;

    /// Time from `earlier` to here; zero if it is the other way round.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
