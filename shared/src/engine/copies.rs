//! Which messages have a copy on the way that takes their place.
//!
//! A copy for later is confirmed before its original is removed. If the removal fails, because the lock has lapsed, the
//! link is gone or the service refuses, the original comes again; were it copied again, one message would become two,
//! and each of them again. So what was copied is remembered, as is what was written, and its redelivery is only removed.

use std::{hash::BuildHasher, num::NonZeroUsize, sync::LazyLock, time::Duration};

use foldhash::quality::RandomState;
use lru::LruCache;

use crate::{
    ids::{LockToken, SequenceNumber},
    monotonic_time::MonotonicTime,
    outcome::Outcome,
};

/// Copies that are remembered; the one made longest ago is forgotten first.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// Waits before a message that has come again is removed; they double.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How long a copy that failed as well is kept until its original is gone; then it is given back untouched once, and the
/// original counts as gone: taken out by another replica or by the service. Longer than the longest lock, after which the
/// original comes again.
const PATIENCE: Duration = Duration::from_mins(6);

/// Which of the messages that stand for one original a message is.
///
/// A message tells that itself, and whoever may send can write any number into it. What nobody can do without having
/// read somebody else's message is to send its body: so a forged number never stands for the message that has it, and
/// the copy of the one never takes the place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lineage {
    /// Number of the original.
    pub origin: SequenceNumber,
    /// How often it was put back from the dead letters: what a person puts back is never taken for what came before.
    pub generation: u32,
    /// How often it came back by itself since it first arrived.
    pub attempt: u32,
    /// What the body is known by: [`Lineage::content_of`] it.
    pub content: u64,
}

/// What is known of the messages that stand for one original.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The attempt of the newest copy that was sent.
    newest: u32,
    /// Whether what that copy takes the place of is known to be gone.
    removed: bool,
    /// How often it has come again.
    again: u32,
}

/// A settlement that waits.
#[derive(Clone, Debug)]
pub(super) struct Postponed<M> {
    pub(super) message: M,
    pub(super) lock: LockToken,
    pub(super) lineage: Lineage,
    /// [`Outcome::Copied`], or one that sends a copy.
    pub(super) outcome: Outcome,
}

impl<M> Postponed<M> {
    fn sends_copy(&self) -> bool {
        self.outcome.sends_copy()
    }
}

/// The copies that this replica has sent, and the settlements that wait because of them.
#[derive(Debug)]
pub(super) struct Copies<M> {
    known: LruCache<Origin, Known>,
    postponed: Vec<(MonotonicTime, Postponed<M>)>,
}

impl<M> Default for Copies<M> {
    fn default() -> Self {
        Self { known: LruCache::new(REMEMBERED), postponed: Vec::new() }
    }
}

impl<M> Copies<M> {
    /// A copy of this message was confirmed by the queue.
    pub(super) fn sent(&mut self, of: Lineage) {
        let known = self.known.get_or_insert_mut(of.key(), Known::default);
        let newest = of.attempt.saturating_add(1);
        if newest > known.newest {
            *known = Known { newest, removed: false, again: 0 };
        }
    }

    /// A message whose place a copy takes is gone. What waited for that may go on.
    pub(super) fn removed(&mut self, message: Lineage) -> Vec<Postponed<M>> {
        if let Some(known) = self.known.get_mut(&message.key())
            && known.newest == message.attempt.saturating_add(1)
        {
            known.removed = true;
        }
        let of_it = |(_, postponed): &mut (MonotonicTime, Postponed<M>)| {
            postponed.sends_copy() && postponed.lineage.key() == message.key()
        };
        self.postponed.extract_if(.., of_it).map(|(_, postponed)| postponed).collect()
    }

    /// If a copy that this replica has sent takes the place of this message: when to remove it. It has come again because
    /// it could not be removed; trying that again and again at once would use up its deliveries.
    pub(super) fn replace(&mut self, message: Lineage, now: MonotonicTime) -> Option<MonotonicTime> {
        let known = self.known.peek_mut(&message.key())?;
        if known.newest <= message.attempt {
            return None;
        }
        if known.newest == message.attempt.saturating_add(1) {
            // Whatever was said of its settlement: here it is.
            known.removed = false;
        }
        known.again = known.again.saturating_add(1);
        let wait = FIRST_WAIT.saturating_mul(1 << (known.again - 1).min(16)).min(LONGEST_WAIT);
        Some(if known.again == 1 { now } else { now + wait })
    }

    /// Until when a message must not be copied, because what it is a copy of has not been removed: another copy now would
    /// be one more that stands for the same original.
    pub(super) fn hold_back(&self, message: Lineage, now: MonotonicTime) -> Option<MonotonicTime> {
        let known = self.known.peek(&message.key())?;
        (known.newest == message.attempt && !known.removed).then(|| now + PATIENCE)
    }

    /// Settles a message later.
    pub(super) fn postpone(&mut self, until: MonotonicTime, postponed: Postponed<M>) {
        self.postponed.push((until, postponed));
    }

    /// What has waited long enough.
    pub(super) fn due(&mut self, now: MonotonicTime) -> Vec<Postponed<M>> {
        if self.postponed.is_empty() {
            return Vec::new();
        }
        let due = self.postponed.extract_if(.., |(until, _)| *until <= now);
        let known = &mut self.known;
        let in_vain = |(_, postponed): (MonotonicTime, Postponed<M>)| {
            if !postponed.sends_copy() {
                return postponed;
            }
            if let Some(known) = known.get_mut(&postponed.lineage.key()) {
                known.removed = true;
            }
            Postponed { outcome: Outcome::Released, ..postponed }
        };
        due.map(in_vain).collect()
    }

    /// When the next has waited long enough.
    pub(super) fn next_due(&self) -> Option<MonotonicTime> {
        self.postponed.iter().map(|(until, _)| *until).min()
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.postponed.is_empty()
    }

    /// Everything that waits, or what waits under one lock.
    pub(super) fn withdraw(&mut self, lock: Option<LockToken>) -> Vec<M> {
        let meant = |(_, postponed): &mut (MonotonicTime, Postponed<M>)| {
            lock.is_none_or(|lock| lock == postponed.lock)
        };
        self.postponed.extract_if(.., meant).map(|(_, postponed)| postponed.message).collect()
    }
}

/// What all messages that stand for one original have in common: its number, how often it was put back, its body.
type Origin = (SequenceNumber, u32, u64);

impl Lineage {
    /// What a body is known by in this process. Seeded, so that no other body can be made to look like it.
    #[must_use]
    pub fn content_of(body: &[u8]) -> u64 {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        SEED.hash_one(body)
    }

    fn key(self) -> Origin {
        (self.origin, self.generation, self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{DeadLetter, DeadLetterReason};

    fn message(origin: i64, generation: u32, attempt: u32) -> Lineage {
        Lineage { origin: SequenceNumber(origin), generation, attempt, content: 0 }
    }

    fn returned() -> Outcome {
        Outcome::Returned(DeadLetter::new(DeadLetterReason::GraphRefused, "in a test"))
    }

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_copy_takes_the_place_of_what_came_before_it_and_of_nothing_else() {
        let mut copies = Copies::<()>::default();
        copies.sent(message(7, 0, 1));
        copies.sent(message(7, 0, 0));
        for (later, replaced) in [
            (message(7, 0, 0), true),
            (message(7, 0, 1), true),
            (message(7, 0, 2), false),
            (message(7, 1, 1), false),
            (message(8, 0, 0), false),
            (Lineage { content: Lineage::content_of(b"another body"), ..message(7, 0, 0) }, false),
        ] {
            assert_eq!(copies.replace(later, at(0)).is_some(), replaced, "{later:?}");
        }
    }

    #[test]
    fn what_comes_again_and_again_is_removed_at_growing_intervals() {
        let mut copies = Copies::<()>::default();
        copies.sent(message(7, 0, 0));
        let waits: Vec<_> = (0..12).map(|_| copies.replace(message(7, 0, 0), at(0))).collect();
        let seconds = [0, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60];
        assert_eq!(waits, seconds.map(|seconds| Some(at(seconds))));
    }

    #[test]
    fn a_copy_is_not_copied_before_its_original_is_gone() {
        let mut copies = Copies::<()>::default();
        assert_eq!(copies.hold_back(message(7, 0, 1), at(0)), None, "sent by another replica");
        copies.sent(message(7, 0, 0));
        let until = copies.hold_back(message(7, 0, 1), at(0)).expect("its original is there");
        let lock = LockToken(uuid::Uuid::from_u128(1));
        let copy = Postponed { message: (), lock, lineage: message(7, 0, 1), outcome: returned() };
        copies.postpone(until, copy);
        assert!(copies.removed(message(8, 0, 0)).is_empty() && copies.due(at(1)).is_empty());
        assert_eq!(copies.removed(message(7, 0, 0)).len(), 1);
        assert_eq!(copies.hold_back(message(7, 0, 1), at(0)), None);
        assert!(copies.replace(message(7, 0, 0), at(0)).is_some(), "it was not gone after all");
        assert!(copies.hold_back(message(7, 0, 1), at(0)).is_some());
    }
    #[test]
    fn an_original_that_does_not_come_again_counts_as_gone_in_the_end() {
        let mut copies = Copies::<()>::default();
        copies.sent(message(7, 0, 0));
        let until = copies.hold_back(message(7, 0, 1), at(0)).expect("its original may be there");
        let lock = LockToken(uuid::Uuid::from_u128(1));
        let copy = Postponed { message: (), lock, lineage: message(7, 0, 1), outcome: returned() };
        copies.postpone(until, copy);
        let due: Vec<_> = copies.due(until).into_iter().map(|due| due.outcome).collect();
        assert_eq!(due, [Outcome::Released], "once without a copy");
        assert_eq!(copies.hold_back(message(7, 0, 1), until), None);
    }
}
