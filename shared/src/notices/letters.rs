//! Dead letters, as counters that only rise: which kinds of them arrive now, and how many since that began.

use std::{collections::BTreeMap, time::Duration};

use crate::monotonic_time::MonotonicTime;

/// Counts dead letters by reason, and those that somebody else has made.
#[derive(Clone, Debug, Default)]
pub struct LetterTally {
    reasons: BTreeMap<Box<str>, Arrivals>,
    queue: Option<QueueTotal>,
    by_others: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Arrivals {
    total: u64,
    /// The total before the first of those that arrive now.
    before: u64,
    latest: Option<MonotonicTime>,
}

/// What the dead-letter queue held, and how many this worker had put there by then.
#[derive(Clone, Copy, Debug)]
struct QueueTotal {
    held: u64,
    own: u64,
    /// Letters of ours that the queue may not have counted yet.
    slack: u64,
}

impl LetterTally {
    /// The name under which those are told that this worker has not made.
    pub const BY_OTHERS: &str = "others";

    /// Takes in how many there have been for a reason since the start.
    pub fn count(&mut self, reason: &str, total: u64, now: MonotonicTime) {
        if let Some(seen) = self.reasons.get_mut(reason) {
            if total > seen.total {
                seen.total = total;
                seen.latest = Some(now);
            }
        } else if total > 0 {
            self.reasons.insert(reason.into(), Arrivals { total, before: 0, latest: Some(now) });
        }
    }

    /// Takes in how many the dead-letter queue holds, and how many this worker has put there since it started; `None` where
    /// nobody knows, and then a new beginning is made. What is more than can be ours is by others: by Service Bus itself, or
    /// by another consumer. A letter that is taken out and one that comes in cancel each other, so this is never too much.
    pub fn queue(&mut self, held: Option<u64>, own: u64, now: MonotonicTime) {
        let Some(held) = held else {
            self.queue = None;
            return;
        };
        let slack = match self.queue {
            None => 0,
            Some(before) => {
                let fresh = own.saturating_sub(before.own);
                let expected = before.held + fresh + before.slack;
                self.by_others += held.saturating_sub(expected);
                self.count(Self::BY_OTHERS, self.by_others, now);
                // What of ours is not there yet comes with the next reading; what was taken out leaves no room.
                expected.saturating_sub(held).min(fresh)
            }
        };
        self.queue = Some(QueueTotal { held, own, slack });
    }

    /// The reasons of which some arrived within `quiet`, with how many since that began.
    pub fn arriving(&mut self, quiet: Duration, now: MonotonicTime) -> Vec<(&str, u64)> {
        for seen in self.reasons.values_mut() {
            if seen.latest.is_some_and(|latest| now - latest >= quiet) {
                (seen.before, seen.latest) = (seen.total, None);
            }
        }
        let arriving = self.reasons.iter().filter(|(_, seen)| seen.latest.is_some());
        arriving.map(|(reason, seen)| (&**reason, seen.total - seen.before)).collect()
    }
}
