//! What stands around one lease: its clocks, its process and its connection.

use jiff::{SignedDuration, Timestamp};

use crate::lease::tests::*;

/// Microseconds of a time that nobody knows but the test.
pub(super) type Real = u64;

/// Clocks that run at a rate of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    rate: f64,
    /// Up to when the monotonic clock is counted, and what it showed then.
    counted: (Real, f64),
    suspended: bool,
    wall_ahead: i64,
}

impl Machine {
    pub(super) fn new(rate: f64, wall_ahead: i64) -> Self {
        Self { rate, counted: (0, 0.0), suspended: false, wall_ahead }
    }

    fn monotonic(&self, now: Real) -> f64 {
        let (then, showed) = self.counted;
        if self.suspended { showed } else { showed + (now - then) as f64 * self.rate }
    }

    fn wall(&self, now: Real) -> i64 {
        (now as f64 * self.rate) as i64 + self.wall_ahead
    }

    pub(super) fn clocks(&self, now: Real) -> Clocks {
        let wall = SignedDuration::from_micros(1_790_000_000_000_000 + self.wall(now));
        Clocks {
            monotonic: MonotonicTime::after_start(Duration::from_micros(self.monotonic(now) as u64)),
            wall: Timestamp::UNIX_EPOCH + wall,
        }
    }

    /// When the monotonic clock will show that.
    pub(super) fn real(&self, time: MonotonicTime, now: Real) -> Real {
        let left = time.since_start().as_micros() as f64 - self.monotonic(now);
        if left <= 0.0 { now } else { now + (left / self.rate).ceil() as u64 + 1 }
    }

    /// Stops or starts the monotonic clock.
    pub(super) fn suspend(&mut self, suspended: bool, now: Real) {
        self.counted = (now, self.monotonic(now));
        self.suspended = suspended;
    }

    pub(super) fn set_wall(&mut self, by: i64) {
        self.wall_ahead += by;
    }

    /// The part of a time in which writes can be started by this fence, to the microsecond.
    pub(super) fn open(&self, fence: Fence, from: Real, until: Real) -> Option<(u64, Real, Real)> {
        let term = fence.term()?;
        let Fence::Open { from: opens, .. } = fence else { return None };
        let start = self.real(opens, from).max(from);
        let left = fence.left(self.clocks(start)).as_micros() as f64 / self.rate;
        let end = until.min(start + left as u64);
        if start >= end {
            return None;
        }
        assert!(
            fence.holds(self.clocks(start)) && fence.holds(self.clocks(end.saturating_sub(2).max(start)))
        );
        Some((term, start, end))
    }
}

/// Chance that a seed decides: `SplitMix64`.
#[derive(Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    pub(super) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub(super) fn part(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}
