//! The write budget of one replica: a token bucket whose rate adapts.
//!
//! Graph's quota is shared by all replicas and by other programs, and nobody tells us what is left of it. So
//! the rate falls on a 429 and creeps up while writes succeed, up to the configured ceiling: additive
//! increase and multiplicative decrease bring several replicas to a fair share without talking to each other.

use std::time::Duration;

use crate::monotonic_time::MonotonicTime;

/// The bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimiter {
    ceiling: f64,
    rate: f64,
    burst: f64,
    tokens: f64,
    counted: MonotonicTime,
    /// Last fall: one burst of 429s, all from the same moment, must not lower the rate many times.
    lowered: Option<MonotonicTime>,
}

/// Never slower than this, or recovery would take for ever.
const FLOOR: f64 = 0.5;
/// 429s within this time belong to the same event.
const SAME_EVENT: Duration = Duration::from_secs(1);
/// What a 429 leaves of the rate.
const FALL: f64 = 0.7;
/// What a hint leaves of the rate.
const HINT: f64 = 0.95;
/// Seconds to climb from nothing to the ceiling. Replicas climb past the quota together, and each time costs
/// what is under way; too slow a rate costs nothing for long, because Graph's bucket saves up what is not used.
/// With `FALL`, up to four replicas have less than 2 % of their calls refused (see `gate/tests/quota.rs`).
const CLIMB: f64 = 300.0;

impl RateLimiter {
    /// At most `writes_per_second`, and `burst` at once after a quiet time. Both must be at least one.
    #[must_use]
    pub fn new(writes_per_second: f64, burst: f64) -> Self {
        let (ceiling, burst) = (writes_per_second.max(1.0), burst.max(1.0));
        Self { ceiling, rate: ceiling, burst, tokens: burst, counted: MonotonicTime::START, lowered: None }
    }

    /// No budget at all, for tests and stand-ins without a quota.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(f64::INFINITY, f64::INFINITY)
    }

    /// Writes per second now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Takes one write; otherwise says when to ask again.
    pub fn take(&mut self, now: MonotonicTime) -> Option<MonotonicTime> {
        self.refill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        Some(self.ready_at(now))
    }

    /// Writes that can be taken at once.
    fn at_hand(&self, now: MonotonicTime) -> f64 {
        let passed = (now - self.counted).as_secs_f64();
        if passed > 0.0 { (self.tokens + passed * self.rate).min(self.burst) } else { self.tokens }
    }

    /// When the next write can be taken: now, or later.
    #[must_use]
    pub fn ready_at(&self, now: MonotonicTime) -> MonotonicTime {
        self.filled_at(1.0, now)
    }

    /// When so many can be taken at once; `None` if they are more than a burst.
    #[must_use]
    pub fn holds_at(&self, writes: f64, now: MonotonicTime) -> Option<MonotonicTime> {
        (writes <= self.burst).then(|| self.filled_at(writes, now))
    }

    fn filled_at(&self, writes: f64, now: MonotonicTime) -> MonotonicTime {
        let tokens = self.at_hand(now);
        if tokens >= writes {
            return now;
        }
        self.counted.max(now)
            + Duration::from_secs_f64((writes - tokens) / self.rate).max(Duration::from_micros(100))
    }

    /// Returns a write that was taken and not made.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }

    /// A write was accepted.
    pub fn succeeded(&mut self, now: MonotonicTime) {
        self.refill(now);
        if self.rate < self.ceiling {
            // One step per write; at `rate` writes a second this adds `ceiling / CLIMB` each second.
            self.rate = (self.rate + self.ceiling / CLIMB / self.rate.max(1.0)).min(self.ceiling);
        }
    }

    /// Graph answered 429, and nothing is written until then. That time saves up one write and no more, or it
    /// would end in a burst and the next 429.
    pub fn throttled(&mut self, now: MonotonicTime, until: MonotonicTime) {
        if self.rate.is_infinite() {
            return;
        }
        self.refill(now);
        self.tokens = self.tokens.min(1.0);
        self.counted = self.counted.max(until);
        if self.lowered.is_some_and(|last| now - last < SAME_EVENT) {
            return;
        }
        self.lowered = Some(now);
        self.rate = (self.rate * FALL).max(FLOOR);
    }

    /// Graph hints that a limit is near: a little less now may spare a 429. Nobody relies on the hint.
    pub fn near_limit(&mut self, now: MonotonicTime) {
        self.refill(now);
        if self.rate.is_finite() && self.lowered.is_none_or(|last| now - last >= SAME_EVENT) {
            self.lowered = Some(now);
            self.rate = (self.rate * HINT).max(FLOOR);
        }
    }

    fn refill(&mut self, now: MonotonicTime) {
        self.tokens = self.at_hand(now);
        self.counted = self.counted.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::after_start(Duration::from_millis(millis))
    }

    /// How many writes a caller gets that asks whenever it is told to, in that many seconds.
    fn writes_in(pace: &mut RateLimiter, from: u64, seconds: u64) -> u32 {
        let (mut now, end, mut writes) = (at(from * 1000), at((from + seconds) * 1000), 0);
        while now < end {
            match pace.take(now) {
                None => writes += 1,
                Some(later) => now = later,
            }
        }
        writes
    }

    #[test]
    fn the_rate_holds_after_the_burst() {
        let mut pace = RateLimiter::new(20.0, 5.0);
        assert_eq!(writes_in(&mut pace, 0, 10), 204);
    }

    #[test]
    fn a_quiet_time_saves_up_no_more_than_the_burst() {
        let mut pace = RateLimiter::new(20.0, 5.0);
        writes_in(&mut pace, 0, 1);
        assert_eq!(writes_in(&mut pace, 3600, 1), 24);
    }

    #[test]
    fn a_burst_of_429s_lowers_the_rate_once_and_success_brings_it_back() {
        let mut pace = RateLimiter::new(20.0, 1.0);
        for millis in 0..50 {
            pace.throttled(at(millis), at(millis));
        }
        assert!((pace.rate() - 14.0).abs() < 1e-9);
        pace.throttled(at(5_000), at(5_000));
        assert!((pace.rate() - 9.8).abs() < 1e-9);
        let mut now = at(6_000);
        while now < at(180_000) {
            match pace.take(now) {
                None => pace.succeeded(now),
                Some(later) => now = later,
            }
        }
        assert!((pace.rate() - 20.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_wait_that_graph_asked_for_does_not_end_in_a_burst() {
        let mut pace = RateLimiter::new(20.0, 20.0);
        pace.throttled(at(0), at(30_000));
        assert_eq!(pace.ready_at(at(30_000)), at(30_000));
        assert_eq!(writes_in(&mut pace, 30, 1), 14);
    }

    #[test]
    fn a_hint_lowers_the_rate_a_little_and_once_a_second() {
        let mut pace = RateLimiter::new(20.0, 1.0);
        for millis in 0..50 {
            pace.near_limit(at(millis));
        }
        assert!((pace.rate() - 19.0).abs() < f64::EPSILON);
        pace.near_limit(at(1_000));
        assert!(pace.rate() < 19.0);
    }

    #[test]
    fn without_a_budget_nothing_is_held_back() {
        let mut pace = RateLimiter::unlimited();
        pace.throttled(at(0), at(0));
        assert!((0..10_000).all(|_| pace.take(at(1)).is_none()));
    }
}
