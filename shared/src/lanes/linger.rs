//! Waiting a moment while messages pour in.
//!
//! A long queue is read much faster than the write budget allows to write. A write that begins at the first message of
//! a user takes one from the budget for a value that the next message may replace. So, where more writes are owed than
//! the budget has at hand, nothing new is written until the flood ends: the budget is what decides when the last write
//! is made, and meanwhile it is saved up, so that nothing of it is lost. Only if there is no room for the rest of the
//! flood, some is made for it.

use std::time::Duration;

use crate::monotonic_time::MonotonicTime;

/// A flood is over when nothing has come for so long, however fast it was.
const QUIET: Duration = Duration::from_millis(200);
/// Messages pour in if so many come in the time of one write.
const FLOOD: f64 = 2.0;
/// No flood is waited for longer than this part of a lock's time.
const PART_OF_LOCK: u32 = 4;
/// The longest wait while it is not known how long locks hold.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether to wait for more.
#[derive(Debug)]
pub(super) struct Gathering {
    /// Until when what has come is a flood: each message moves it by the time in which half a write is made.
    pouring_until: MonotonicTime,
    /// No flood is waited for longer than this.
    longest: Duration,
    /// When this shortage began.
    since: Option<MonotonicTime>,
    /// Whether this shortage has been waited for already.
    over: bool,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { pouring_until: MonotonicTime::START, longest: LONGEST, since: None, over: false }
    }
}

impl Gathering {
    /// How long locks hold has become known.
    pub(super) fn locks_hold_for(&mut self, length: Duration) {
        self.longest = length / PART_OF_LOCK;
    }

    /// A message came, while so many writes a second are possible.
    pub(super) fn arrived(&mut self, rate: f64, now: MonotonicTime) {
        let share = Duration::try_from_secs_f64(1.0 / (FLOOD * rate)).unwrap_or(QUIET);
        self.pouring_until = (self.pouring_until.max(now) + share).min(now + QUIET);
    }

    /// Until when to wait. Each shortage is waited for once: `scarce` tells that more writes are owed than the budget
    /// has at hand, `full` that nothing more can come before there is room.
    pub(super) fn until(&mut self, scarce: bool, full: bool, now: MonotonicTime) -> Option<MonotonicTime> {
        if !scarce {
            (self.since, self.over) = (None, false);
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let longest = since + self.longest;
        let end = if full { longest } else { self.pouring_until.min(longest) };
        self.over |= end <= now;
        (!self.over).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::after_start(Duration::from_millis(millis))
    }

    /// Writes a second.
    const RATE: f64 = 20.0;

    /// Whether it waits, where a message comes each so many milliseconds until the flood ends.
    fn waits(every: usize, flood_ends: u64, asked: u64) -> bool {
        let mut gathering = Gathering::default();
        gathering.locks_hold_for(Duration::from_mins(1));
        let arrivals = (0..=flood_ends.min(asked)).step_by(every);
        for now in arrivals {
            if now > 0 {
                gathering.until(true, false, at(now));
            }
            gathering.arrived(RATE, at(now));
            gathering.until(true, false, at(now));
        }
        gathering.until(true, false, at(asked)).is_some()
    }

    #[test]
    fn a_flood_is_waited_for_until_it_ends_and_never_longer_than_a_quarter_of_a_lock() {
        for (flood_ends, asked, expected) in
            [(2_000, 2_190, true), (2_000, 2_200, false), (90_000, 14_999, true), (90_000, 15_000, false)]
        {
            assert_eq!(waits(1, flood_ends, asked), expected, "{flood_ends} {asked}");
        }
    }

    #[test]
    fn a_flood_is_what_comes_more_than_twice_as_fast_as_it_is_written() {
        // Forty a second is one in 25 ms.
        for (every, expected) in [(1, true), (10, true), (20, true), (24, true), (26, false), (50, false)] {
            assert_eq!(waits(every, 9_000, 9_000), expected, "one in {every} ms");
        }
    }

    #[test]
    fn a_shortage_is_waited_for_once_and_the_next_one_again() {
        let mut gathering = Gathering::default();
        gathering.arrived(RATE, at(0));
        assert_eq!(gathering.until(true, false, at(10)), Some(at(25)));
        assert_eq!(gathering.until(true, false, at(25)), None);
        gathering.arrived(RATE, at(60));
        assert_eq!(gathering.until(true, false, at(60)), None, "the same shortage");
        assert_eq!(gathering.until(false, false, at(70)), None, "it is over");
        gathering.arrived(RATE, at(100));
        assert_eq!(gathering.until(true, false, at(100)), Some(at(125)));
        assert_eq!(
            gathering.until(true, true, at(300)),
            Some(at(1_100)),
            "more would come if there were room"
        );
        assert_eq!(gathering.until(true, false, at(300)), None, "nothing more comes");
    }
}
