//! The clocks of the machine on which a replica runs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::{lease::Clocks, monotonic_time::MonotonicTime};

const MILLION: u128 = 1_000_000;

/// Clocks that run at a rate of their own. `real` is the time of the world, which no replica knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct MachineClock {
    born: MonotonicTime,
    /// What it shows of a million, real, nanoseconds.
    rate: u32,
    /// How long the monotonic clock stood still, in all.
    slept: Duration,
    /// Since when it stands still.
    asleep_since: Option<MonotonicTime>,
    wall_ahead: SignedDuration,
}

impl MachineClock {
    /// One that shows nothing but the time of the world since then.
    pub(super) fn exact(born: MonotonicTime) -> Self {
        Self::new(born, 1_000_000)
    }

    pub(super) fn new(born: MonotonicTime, rate: u32) -> Self {
        Self { born, rate, slept: Duration::ZERO, asleep_since: None, wall_ahead: SignedDuration::ZERO }
    }

    /// What the clock shows that nobody sets.
    pub(super) fn monotonic(&self, real: MonotonicTime) -> MonotonicTime {
        let awake = self.asleep_since.map_or(real, |since| since.min(real)) - self.born;
        MonotonicTime::after_start(scaled(awake.saturating_sub(self.slept), self.rate.into(), MILLION))
    }

    /// When it will show that.
    pub(super) fn real(&self, shown: MonotonicTime) -> MonotonicTime {
        self.born + self.slept + scaled(shown.since_start(), MILLION, self.rate.into())
    }

    pub(super) fn clocks(&self, real: MonotonicTime) -> Clocks {
        let since_start = scaled(real.since_start(), self.rate.into(), MILLION);
        let wall = SignedDuration::try_from(since_start).expect("hours") + self.wall_ahead;
        // Whole years after the epoch, so that a clock which is set back shows no negative time.
        let wall = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000) + wall;
        Clocks { monotonic: self.monotonic(real), wall }
    }

    pub(super) fn set_wall(&mut self, by: SignedDuration) {
        self.wall_ahead += by;
    }

    /// The monotonic clock stops.
    pub(super) fn sleep(&mut self, now: MonotonicTime) {
        self.asleep_since = Some(now);
    }

    /// It goes on, if it had stopped.
    pub(super) fn wake(&mut self, now: MonotonicTime) {
        if let Some(since) = self.asleep_since.take() {
            self.slept += now - since;
        }
    }
}

/// Rounded up, so that what was converted is never too early.
fn scaled(time: Duration, by: u128, of: u128) -> Duration {
    if by == of {
        return time;
    }
    let nanos = (time.as_nanos() * by).div_ceil(of);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
