//! Points in time as the broker counts them: whole milliseconds, handed in by the caller.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// Milliseconds since the Unix epoch; the resolution that AMQP timestamps have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// .NET counts 100 ns ticks from the year 1; this is the Unix epoch on that scale.
const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;

impl Time {
    /// The point `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The same point in .NET ticks, as session links announce their lock.
    #[must_use]
    pub const fn ticks(self) -> i64 {
        UNIX_EPOCH_TICKS.saturating_add(self.0.saturating_mul(10_000))
    }

    /// How long it is from `self` until `later`; zero if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

/// Durations beyond this are as good as endless and would only overflow.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}
