//! The messages under lock. A message may hold several changes, of several users; it is settled once, when
//! the last of them has its verdict.

use super::Lineage;
use crate::{
    ids::{IdMap, LockToken, UserId},
    lanes::Verdict,
};

/// A message whose changes are on their way.
#[derive(Debug)]
struct Held {
    /// Changes without a verdict.
    open: usize,
    /// The gravest verdict so far.
    verdict: Verdict,
    users: Vec<UserId>,
    bytes: usize,
    lineage: Lineage,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct HeldMessages {
    messages: IdMap<LockToken, Held>,
    bytes: usize,
}

impl HeldMessages {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of all their bodies.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message is held.
    pub(super) fn contains(&self, lock: LockToken) -> bool {
        self.messages.contains_key(&lock)
    }

    /// Keeps a message, one entry of `users` for each of its changes.
    pub(super) fn hold(&mut self, lock: LockToken, lineage: Lineage, users: Vec<UserId>, bytes: usize) {
        self.bytes += bytes;
        self.messages
            .insert(lock, Held { open: users.len(), verdict: Verdict::Stale, users, bytes, lineage });
    }

    /// One change of a message has its verdict. Returns what becomes of the message if it was the last.
    ///
    /// The gravest verdict decides: applying a change twice is harmless, and losing one is not.
    pub(super) fn close(&mut self, lock: LockToken, verdict: Verdict) -> Option<(Verdict, Lineage)> {
        let held = self.messages.get_mut(&lock)?;
        held.open = held.open.saturating_sub(1);
        if gravity(&verdict) > gravity(&held.verdict) {
            held.verdict = verdict;
        }
        if held.open > 0 {
            return None;
        }
        let held = self.messages.remove(&lock)?;
        self.bytes -= held.bytes;
        Some((held.verdict, held.lineage))
    }

    /// The users that a message concerns.
    pub(super) fn users(&self, lock: LockToken) -> &[UserId] {
        self.messages.get(&lock).map_or(&[], |held| &held.users)
    }
}

fn gravity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Stale => 0,
        Verdict::Applied => 1,
        Verdict::DeadLetter(_) => 2,
        Verdict::Release => 3,
        // A message that was set aside must not come back at once, and be the first again, because another change of it
        // was given back.
        Verdict::RetryLater(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::SequenceNumber;
    use crate::reason::{DeadLetter, DeadLetterReason};

    const LOCK: LockToken = LockToken(Uuid::from_u128(1));

    const LINEAGE: Lineage = Lineage { origin: SequenceNumber(1), generation: 0, attempt: 0 };

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn dead() -> Verdict {
        Verdict::DeadLetter(DeadLetter::new(DeadLetterReason::GraphRefused, "in a test"))
    }

    fn later() -> Verdict {
        Verdict::RetryLater(DeadLetter::new(DeadLetterReason::GraphRefused, "in a test"))
    }

    #[test]
    fn a_message_is_done_when_its_last_change_is_and_the_gravest_verdict_counts() {
        for (first, second, expected) in [
            (Verdict::Applied, Verdict::Stale, Verdict::Applied),
            (Verdict::Applied, dead(), dead()),
            (Verdict::Release, dead(), Verdict::Release),
            (later(), Verdict::Release, later()),
            (Verdict::Stale, Verdict::Stale, Verdict::Stale),
        ] {
            let mut held = HeldMessages::default();
            held.hold(LOCK, LINEAGE, vec![user(1), user(2)], 10);
            assert_eq!(held.close(LOCK, first), None);
            assert_eq!((held.len(), held.bytes()), (1, 10));
            assert_eq!(held.close(LOCK, second), Some((expected, LINEAGE)));
            assert_eq!((held.len(), held.bytes()), (0, 0));
        }
    }

    #[test]
    fn an_unknown_message_is_nobody() {
        let mut held = HeldMessages::default();
        assert_eq!((held.close(LOCK, Verdict::Applied), held.users(LOCK)), (None, &[][..]));
    }
}
