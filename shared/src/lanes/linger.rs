//! Waiting a moment while messages pour in.
//!
//! A long queue is read much faster than the write budget allows to write. A write that begins at the first message of
//! a user takes one from the budget for a value that the next message may replace. So, where more writes are owed than
//! the budget has at hand, nothing new is written until the flood ends: the budget is what decides when the last write
//! is made, and meanwhile it is saved up, so that nothing of it is lost. Only if there is no room for the rest of the
//! flood, some is made for it.
//!
//! A flood begins like a trickle, with as many messages as one read of the socket brings, for which the budget is enough. So where
//! several messages come at once, it is seen for the time of a write or two whether more do. One that comes alone never waits.

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
/// What comes within so long of the one before it comes with it: more than the way to the queue and back takes.
const AT_ONCE: Duration = Duration::from_millis(20);
/// So many messages that come at once may be the first of a flood.
const SEVERAL: u32 = 4;

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
    /// What came at once last.
    burst: Burst,
}

/// Messages that came at once.
#[derive(Debug)]
struct Burst {
    messages: u32,
    /// When the last one came.
    last: MonotonicTime,
    /// Until when more are waited for, if they go on coming.
    longest: MonotonicTime,
}

impl Burst {
    /// None has come yet.
    const NONE: Self = Self { messages: 0, last: MonotonicTime::START, longest: MonotonicTime::START };

    /// A message came, while so many are a flood that come each so long after the other.
    fn arrived(&mut self, share: Duration, now: MonotonicTime) {
        if now > self.last + AT_ONCE || self.messages == 0 {
            // The time of two writes, each of which takes [`FLOOD`] shares.
            (self.messages, self.longest) = (0, now + share.saturating_mul(4));
        }
        (self.messages, self.last) = (self.messages.saturating_add(1), now);
    }

    /// It has turned out to be a flood, or as good as one: nobody asks any more what it may become.
    fn judged(&mut self, now: MonotonicTime) {
        self.longest = self.longest.min(now);
    }

    /// Until when it may become a flood.
    fn until(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        let end = (self.last + AT_ONCE).min(self.longest);
        (self.messages >= SEVERAL && end > now).then_some(end)
    }
}

impl Default for Gathering {
    fn default() -> Self {
        Self {
            pouring_until: MonotonicTime::START,
            longest: LONGEST,
            since: None,
            over: false,
            burst: Burst::NONE,
        }
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
        self.burst.arrived(share, now);
    }

    /// Until when to wait. Each shortage is waited for once: `scarce` tells that more writes are owed than the budget
    /// has at hand, `full` that nothing more can come before there is room.
    pub(super) fn until(&mut self, scarce: bool, full: bool, now: MonotonicTime) -> Option<MonotonicTime> {
        if !scarce {
            (self.since, self.over) = (None, false);
            return self.burst.until(now).filter(|_| !full);
        }
        self.burst.judged(now);
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
    fn what_comes_at_once_waits_for_the_time_of_two_writes_whether_a_flood_begins_and_one_alone_does_not() {
        let mut gathering = Gathering::default();
        let mut asked = |messages: usize, now: u64, full: bool| {
            (0..messages).for_each(|_| gathering.arrived(RATE, at(now)));
            gathering.until(false, full, at(now))
        };
        assert_eq!([asked(1, 0, false), asked(2, 10, false)], [None, None], "few");
        assert_eq!(asked(1, 15, true), None, "nothing more can come");
        assert_eq!(asked(0, 15, false), Some(at(35)));
        assert_eq!(asked(0, 35, false), None, "nothing came");
        assert_eq!([asked(1, 36, false), asked(3, 50, false)], [None, Some(at(70))], "another time");
        assert_eq!([asked(9, 69, false), asked(9, 88, false)], [Some(at(89)), Some(at(108))]);
        assert_eq!([asked(9, 107, false), asked(9, 126, false)], [Some(at(127)), Some(at(136))]);
        assert_eq!([asked(9, 136, false), asked(99, 150, false)], [None, None], "it has been waited for");
    }

    #[test]
    fn what_was_a_flood_is_not_waited_for_again_when_the_budget_is_enough_for_the_rest_of_it() {
        let mut gathering = Gathering::default();
        gathering.locks_hold_for(Duration::from_mins(1));
        (0..5).for_each(|_| gathering.arrived(RATE, at(0)));
        assert_eq!(gathering.until(true, false, at(0)), Some(at(125)));
        assert_eq!(gathering.until(false, false, at(10)), None);
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
