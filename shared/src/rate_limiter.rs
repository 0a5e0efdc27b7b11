//! The write budget of one replica: a token bucket whose rate adapts.
//!
//! Graph's quota is shared with other programs, and nobody tells us what is left of it. So the rate falls on a 429
//! and rises while writes succeed, up to the configured ceiling: soon to just below the rate at which the 429 came,
//! which was right until then, and slowly beyond it, which nobody has tried. Falling in proportion and rising in
//! equal steps brings several writers to a fair share without talking to each other.

use std::time::Duration;

use crate::monotonic_time::MonotonicTime;

/// What is saved up beyond a burst.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reserve {
    None,
    /// Everything that is not taken.
    Growing,
    /// So much was saved up until then, a burst included.
    Until {
        end: MonotonicTime,
        level: f64,
    },
}

/// The bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimiter {
    ceiling: f64,
    rate: f64,
    burst: f64,
    tokens: f64,
    counted: MonotonicTime,
    /// What is saved up beyond a burst.
    reserve: Reserve,
    /// The rate at which the last 429 came.
    refused_at: f64,
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
/// What is taken of the rate at a 429 as known to be right, if it came below the one before.
const GIVEN_UP: f64 = 0.85;
/// Seconds to climb from nothing to the ceiling, where no rate is known to be right. Writers climb past the quota
/// together, and each time costs what is under way; too slow a rate costs nothing for long, because Graph's bucket
/// saves up what is not used. With `FALL`, up to four writers have less than 2 % of their calls refused, and one alone
/// hardly any (see `gate/tests/quota.rs`).
const CLIMB: f64 = 300.0;
/// Up to this part of the rate at which the last 429 came, the rate returns soon.
const KNOWN: f64 = 0.97;
/// In so many seconds it makes up for all but a third of what it lacks.
const RETURN: f64 = 10.0;

impl RateLimiter {
    /// At most `writes_per_second`, and `burst` at once after a quiet time. Both must be at least one.
    #[must_use]
    pub fn new(writes_per_second: f64, burst: f64) -> Self {
        let (ceiling, burst) = (writes_per_second.max(1.0), burst.max(1.0));
        Self {
            ceiling,
            rate: ceiling,
            burst,
            tokens: burst,
            counted: MonotonicTime::START,
            reserve: Reserve::None,
            refused_at: ceiling,
            lowered: None,
        }
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

    /// What is known of the budget, to be handed on: writes per second, and writes at once.
    #[must_use]
    pub fn known(&self, now: MonotonicTime) -> (f64, f64) {
        (self.rate, self.at_hand(now))
    }

    /// Goes on with what another replica knew of the budget.
    pub fn resume(&mut self, rate: f64, tokens: f64, now: MonotonicTime) {
        if self.rate.is_infinite() {
            return;
        }
        self.rate = rate.clamp(FLOOR, self.ceiling);
        self.tokens = tokens.clamp(0.0, self.burst);
        self.counted = now;
    }

    /// Writes that can be taken at once.
    fn at_hand(&self, now: MonotonicTime) -> f64 {
        let passed = (now - self.counted).as_secs_f64();
        if passed > 0.0 { (self.tokens + passed * self.rate).min(self.most(now)) } else { self.tokens }
    }

    /// Writes that can be saved up.
    fn most(&self, now: MonotonicTime) -> f64 {
        match self.reserve {
            Reserve::None => self.burst,
            Reserve::Growing => f64::INFINITY,
            Reserve::Until { end, level } => self.burst.max(level - (now - end).as_secs_f64() * self.rate),
        }
    }

    /// Whether all that is not taken is saved up from now on, be it more than a burst: what is left now in order to be
    /// taken soon is not lost, because Graph counts over minutes. What is then not taken is lost again, as slowly as it
    /// was saved up.
    pub fn save_up(&mut self, saving: bool, now: MonotonicTime) {
        if saving == (self.reserve == Reserve::Growing) {
            return;
        }
        self.refill(now);
        self.reserve =
            if saving { Reserve::Growing } else { Reserve::Until { end: now, level: self.tokens } };
    }

    /// When the next write can be taken: now, or later.
    #[must_use]
    pub fn ready_at(&self, now: MonotonicTime) -> MonotonicTime {
        self.filled_at(1.0, now)
    }

    /// When so many can be taken at once; `None` if they are more than are saved up.
    #[must_use]
    pub fn holds_at(&self, writes: f64, now: MonotonicTime) -> Option<MonotonicTime> {
        (writes <= self.most(now)).then(|| self.filled_at(writes, now))
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
        self.tokens = (self.tokens + 1.0).min(self.most(self.counted));
    }

    /// A write was accepted.
    pub fn succeeded(&mut self, now: MonotonicTime) {
        self.refill(now);
        if self.rate < self.ceiling {
            // One step per write, which at `rate` writes a second makes so much each second.
            let known = (self.refused_at * KNOWN - self.rate) / RETURN;
            let rise = known.max(self.ceiling / CLIMB);
            self.rate = (self.rate + rise / self.rate.max(1.0)).min(self.ceiling);
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
        // Refused below what was refused before: others take more than they did, and the way back ends earlier.
        let given_up = if self.rate < self.refused_at * KNOWN { GIVEN_UP } else { 1.0 };
        self.refused_at = self.rate * given_up;
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
    fn what_was_left_for_later_comes_on_top_of_the_burst_and_is_lost_as_slowly_as_it_came() {
        for (idle, expected) in [(0, 5 + 200 + 20), (4, 5 + 200 - 80 + 20), (10, 5 + 20), (3_600, 5 + 20)] {
            let mut pace = RateLimiter::new(20.0, 5.0);
            pace.save_up(true, at(0));
            assert_eq!(pace.holds_at(105.0, at(0)), Some(at(5_000)));
            pace.save_up(false, at(10_000));
            let writes = writes_in(&mut pace, 10 + idle, 1);
            assert!(writes.abs_diff(expected) <= 1, "{writes} after {idle} s, not {expected}");
        }
    }

    #[test]
    fn after_a_429_the_rate_is_soon_back_just_below_where_it_came_and_slow_beyond() {
        let mut pace = RateLimiter::new(20.0, 1.0);
        pace.throttled(at(0), at(0));
        let rate_at = |pace: &mut RateLimiter, from: u64, to: u64| {
            let mut now = at(from * 1000);
            while now < at(to * 1000) {
                match pace.take(now) {
                    None => pace.succeeded(now),
                    Some(later) => now = later,
                }
            }
            pace.rate()
        };
        assert!((17.2..18.0).contains(&rate_at(&mut pace, 0, 10)), "two thirds of the way: {}", pace.rate());
        assert!((19.0..19.5).contains(&rate_at(&mut pace, 10, 30)), "just below: {}", pace.rate());
        let before = pace.rate();
        let step = rate_at(&mut pace, 30, 34) - before;
        assert!(step < 0.5, "slowly beyond: {step} in four seconds");
        assert!((rate_at(&mut pace, 34, 60) - 20.0).abs() < f64::EPSILON);
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
