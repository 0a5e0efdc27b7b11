//! Waiting a moment while messages pour in.
//!
//! A long queue is read thousands of times faster than the write budget allows to write. A write that begins at the
//! first message of a user takes one from the budget for a value that the next message may replace. So, where more
//! writes are owed than the budget has at hand, nothing new is written until the flood ends, for a second at most:
//! the budget is what decides when the last write is made, and it refills meanwhile.

use std::time::Duration;

use crate::monotonic_time::MonotonicTime;

/// A flood has ended when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(50);
/// No flood is waited for longer than this.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether to wait for more.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    last_arrival: MonotonicTime,
    /// When this shortage began.
    since: Option<MonotonicTime>,
    /// Whether this shortage has been waited for already.
    over: bool,
}

impl Gathering {
    /// A message came.
    pub(super) fn arrived(&mut self, now: MonotonicTime) {
        self.last_arrival = now;
    }

    /// Until when to wait. Each shortage is waited for once: `scarce` tells that more writes are owed than the budget
    /// has at hand, `full` that nothing more can come.
    pub(super) fn until(&mut self, scarce: bool, full: bool, now: MonotonicTime) -> Option<MonotonicTime> {
        if !scarce {
            (self.since, self.over) = (None, false);
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let end = (self.last_arrival + QUIET).min(since + LONGEST);
        self.over |= full || end <= now;
        (!self.over).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::after_start(Duration::from_millis(millis))
    }

    /// Whether it waits, when messages come every ten milliseconds until then.
    fn waits(flood_ends: u64, asked: u64) -> bool {
        let mut gathering = Gathering::default();
        let mut waits = None;
        for now in (0..=asked).step_by(10) {
            if now <= flood_ends {
                gathering.arrived(at(now));
            }
            waits = gathering.until(true, false, at(now));
        }
        waits.is_some()
    }

    #[test]
    fn a_flood_is_waited_for_until_it_ends_and_never_longer_than_a_second() {
        for (flood_ends, asked, expected) in
            [(200, 100, true), (200, 240, true), (200, 250, false), (9_000, 990, true), (9_000, 1_000, false)]
        {
            assert_eq!(waits(flood_ends, asked), expected, "{flood_ends} {asked}");
        }
    }

    #[test]
    fn a_shortage_is_waited_for_once_and_the_next_one_again() {
        let mut gathering = Gathering::default();
        gathering.arrived(at(0));
        assert_eq!(gathering.until(true, false, at(10)), Some(at(50)));
        assert_eq!(gathering.until(true, false, at(50)), None);
        gathering.arrived(at(60));
        assert_eq!(gathering.until(true, false, at(60)), None, "the same shortage");
        assert_eq!(gathering.until(false, false, at(70)), None, "it is over");
        gathering.arrived(at(80));
        assert_eq!(gathering.until(true, false, at(80)), Some(at(130)));
        assert_eq!(gathering.until(true, true, at(80)), None, "nothing more can come");
    }
}
