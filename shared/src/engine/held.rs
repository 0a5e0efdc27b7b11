//! The messages under lock. A message may hold several changes, of several users; it is settled once, when
//! the last of them has its outcome.

use super::{
    Lineage,
    members::{Failures, Member},
};
use crate::{
    ids::{IdMap, LockToken, UserId},
    outcome::Outcome,
};

/// What a change on its way belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The message.
    pub(super) lock: LockToken,
    /// Its place in a message about several contacts.
    pub(super) member: Option<Member>,
}

/// A message whose changes are on their way.
#[derive(Debug)]
struct Held {
    /// Changes without an outcome.
    open: usize,
    /// The gravest outcome so far.
    outcome: Outcome,
    /// The members that failed, if it is about several contacts.
    failures: Failures,
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

    /// Keeps a message, one entry of `users` for each of its changes; `failures` are the members of it that could
    /// not be planned.
    pub(super) fn hold(
        &mut self,
        lock: LockToken,
        lineage: Lineage,
        users: Vec<UserId>,
        bytes: usize,
        failures: Failures,
    ) {
        self.bytes += bytes;
        let held = Held { open: users.len(), outcome: Outcome::Stale, failures, users, bytes, lineage };
        self.messages.insert(lock, held);
    }

    /// One change of a message has its outcome. Returns what becomes of the message if it was the last.
    ///
    /// The gravest outcome decides: applying a change twice is harmless, and losing one is not. Of several members
    /// that failed for good, one dead letter names all.
    pub(super) fn close(&mut self, ticket: Ticket, outcome: Outcome) -> Option<(Outcome, Lineage)> {
        let held = self.messages.get_mut(&ticket.lock)?;
        held.open = held.open.saturating_sub(1);
        match (outcome, ticket.member) {
            (Outcome::DeadLettered(letter), Some(member)) => held.failures.push(member, letter),
            (outcome, _) if outcome.gravity() > held.outcome.gravity() => held.outcome = outcome,
            _ => {}
        }
        if held.open > 0 {
            return None;
        }
        let held = self.messages.remove(&ticket.lock)?;
        self.bytes -= held.bytes;
        let failed = held.failures.letter().map(Outcome::DeadLettered);
        let failed = failed.filter(|failed| failed.gravity() > held.outcome.gravity());
        Some((failed.unwrap_or(held.outcome), held.lineage))
    }

    /// The users that a message concerns.
    pub(super) fn users(&self, lock: LockToken) -> &[UserId] {
        self.messages.get(&lock).map_or(&[], |held| &held.users)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::SequenceNumber;
    use crate::reason::{DeadLetter, DeadLetterReason};

    const LOCK: LockToken = LockToken(Uuid::from_u128(1));
    const TICKET: Ticket = Ticket { lock: LOCK, member: None };

    const LINEAGE: Lineage = Lineage { origin: SequenceNumber(1), generation: 0, attempt: 0, content: 0 };

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn dead() -> Outcome {
        Outcome::DeadLettered(DeadLetter::new(DeadLetterReason::GraphRefused, "in a test"))
    }

    fn later() -> Outcome {
        Outcome::Returned(DeadLetter::new(DeadLetterReason::GraphRefused, "in a test"))
    }

    #[test]
    fn a_message_is_done_when_its_last_change_is_and_the_gravest_verdict_counts() {
        for (first, second, expected) in [
            (Outcome::Applied, Outcome::Stale, Outcome::Applied),
            (Outcome::Applied, dead(), dead()),
            (Outcome::Released, dead(), Outcome::Released),
            (later(), Outcome::Released, later()),
            (Outcome::Stale, Outcome::Stale, Outcome::Stale),
        ] {
            let mut held = HeldMessages::default();
            held.hold(LOCK, LINEAGE, vec![user(1), user(2)], 10, Failures::default());
            assert_eq!(held.close(TICKET, first), None);
            assert_eq!((held.len(), held.bytes()), (1, 10));
            assert_eq!(held.close(TICKET, second), Some((expected, LINEAGE)));
            assert_eq!((held.len(), held.bytes()), (0, 0));
        }
    }

    #[test]
    fn an_unknown_message_is_nobody() {
        let mut held = HeldMessages::default();
        assert_eq!((held.close(TICKET, Outcome::Applied), held.users(LOCK)), (None, &[][..]));
    }

    #[test]
    fn members_that_failed_wait_for_the_others_and_are_named_together() {
        let member = |position| Member { position, contact: None };
        let ticket = |position| Ticket { lock: LOCK, member: Some(member(position)) };
        let unplanned = || {
            let mut failures = Failures::default();
            failures.push(member(2), DeadLetter::new(DeadLetterReason::UserLinkInvalid, "no id"));
            failures
        };
        let mut both = unplanned();
        both.push(member(3), DeadLetter::new(DeadLetterReason::GraphRefused, "in a test"));
        let letter = |failures: Failures| Outcome::DeadLettered(failures.letter().expect("some failed"));
        for (third, expected) in [
            (Outcome::Applied, letter(unplanned())),
            (Outcome::Stale, letter(unplanned())),
            (dead(), letter(both)),
            (Outcome::Released, Outcome::Released),
        ] {
            let mut held = HeldMessages::default();
            held.hold(LOCK, LINEAGE, vec![user(1), user(3)], 10, unplanned());
            assert_eq!(held.close(ticket(3), third), None);
            assert_eq!(held.close(ticket(1), Outcome::Applied), Some((expected, LINEAGE)));
        }
    }
}
