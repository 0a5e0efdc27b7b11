//! Dead letters, as counters that only rise: which kinds of them arrive now, and how many since that began.

use std::{collections::BTreeMap, time::Duration};

use crate::monotonic_time::MonotonicTime;

/// Counts dead letters by reason, and those that somebody else has made.
#[derive(Clone, Debug, Default)]
pub struct LetterTally {
    reasons: BTreeMap<Box<str>, Arrivals>,
    /// The latest reading, which is judged with the next one.
    read: Option<QueueReading>,
    /// The latest one up to which everything is accounted for.
    settled: Option<QueueReading>,
    /// How many there were of this worker at the last two readings, the later one last.
    owns: [u64; 2],
    by_others: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Arrivals {
    total: u64,
    /// The total before the first of those that arrive now.
    before: u64,
    latest: Option<MonotonicTime>,
}

/// What the dead-letter queue held, how many this worker had put there by then at least, and how many others had.
#[derive(Clone, Copy, Debug)]
struct QueueReading {
    held: u64,
    own: u64,
    others: u64,
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

    /// Takes in a new reading of how many letters the queue holds; how many this worker has put there by now, and how many
    /// messages it still has in its hands. `held` is `None` where nobody knows, and then a new beginning is made. What is more
    /// than can be ours is by others: by Service Bus itself, or by another consumer.
    ///
    /// A letter of ours can be seen before it is counted; then it is one of those in hand. A reading can be older than the counts
    /// that come with it, but not older than those of the reading before the last. It is judged with the next one, by when it is out
    /// of date. Letters that are taken out make a new beginning, too. So this is never too much, and
    /// may come late.
    pub fn queue(&mut self, held: Option<u64>, own: u64, in_hand: u64, now: MonotonicTime) {
        let others = self.by_others;
        let at_least = self.owns[0];
        self.owns = [self.owns[1], own];
        let reading = held.map(|held| QueueReading { held, own: at_least, others });
        let before = std::mem::replace(&mut self.read, reading);
        let Some(before) = before.filter(|before| held.is_some_and(|held| before.held <= held)) else {
            self.settled = None;
            return;
        };
        let is_quiet = before.own == own && in_hand == 0;
        let Some(settled) = self.settled else {
            self.settled = is_quiet.then_some(before);
            return;
        };
        let expected = settled.held + own.saturating_sub(settled.own);
        let found = settled.others + before.held.saturating_sub(expected + in_hand);
        self.by_others = self.by_others.max(found);
        self.count(Self::BY_OTHERS, self.by_others, now);
        if is_quiet {
            // Counts that lag behind catch up later.
            let (held, others) = (before.held.max(expected), self.by_others);
            self.settled = Some(QueueReading { held, own, others });
        }
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
