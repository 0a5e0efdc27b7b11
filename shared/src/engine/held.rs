//! The messages under lock. A message may hold several changes, of several users; it is settled once, when
//! the last of them has its outcome.

use super::{
    Lineage,
    members::{Failures, Member},
    reads::Missing,
    renewal::Locks,
    searches::Circumstances,
};
use crate::{
    ids::{ContactId, LockToken, OrganizationId, UserId},
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    plan::{KnownRows, RowId},
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
pub(super) struct Held<M> {
    /// The caller's own.
    pub(super) message: M,
    /// Changes without an outcome.
    open: usize,
    /// The gravest outcome so far.
    outcome: Outcome,
    /// The members that failed, if it is about several contacts.
    failures: Failures,
    users: Vec<UserId>,
    bytes: usize,
    /// What the lanes have to know of it.
    pub(super) circumstances: Circumstances,
    /// The organization whose contacts it is about.
    pub(super) organization: Option<OrganizationId>,
    /// What is known of its rows.
    rows: KnownRows,
    /// Contacts whose users Graph does not know, and whose rows were not read yet.
    pub(super) missing: Vec<(ContactId, Missing)>,
    /// When it is handed back; nothing once it has been, as far as it could.
    until: Option<MonotonicTime>,
}

impl<M> Held<M> {
    /// A message with one entry of `users` for each of its changes, to be held until then; `failures` are the members
    /// of it that could not be planned.
    pub(super) fn new(
        message: M,
        circumstances: Circumstances,
        users: Vec<UserId>,
        bytes: usize,
        failures: Failures,
        until: MonotonicTime,
    ) -> Self {
        Self {
            message,
            open: users.len(),
            outcome: Outcome::Stale,
            failures,
            users,
            bytes,
            circumstances,
            organization: None,
            rows: KnownRows::default(),
            missing: Vec::new(),
            until: Some(until),
        }
    }
}

impl<M> Held<M> {
    /// A message of which it is not known yet whom it concerns.
    pub(super) fn of_nobody(
        message: M,
        circumstances: Circumstances,
        bytes: usize,
        until: MonotonicTime,
    ) -> Self {
        Self { open: 1, ..Self::new(message, circumstances, Vec::new(), bytes, Failures::default(), until) }
    }

    /// The same message, of which it is not known any more whom it concerns.
    pub(super) fn begun_anew(self) -> Self {
        let (outcome, failures, users) = (Outcome::Stale, Failures::default(), Vec::new());
        Self { open: 1, outcome, failures, users, ..self }
    }

    /// Its original, and which of the messages that stand for it this is.
    pub(super) const fn lineage(&self) -> Lineage {
        self.circumstances.lineage
    }
}

/// All of them, and the locks of those that are being settled.
#[derive(Debug)]
pub(super) struct HeldMessages<M> {
    /// Under each lock a message whose changes are on their way, or nothing while it is settled.
    locks: Locks<Option<Held<M>>>,
    messages: usize,
    bytes: usize,
    /// Nothing is handed back before this time.
    first: Option<MonotonicTime>,
}

impl<M> Default for HeldMessages<M> {
    fn default() -> Self {
        Self { locks: Locks::default(), messages: 0, bytes: 0, first: None }
    }
}

impl<M> HeldMessages<M> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// Bytes of all their bodies.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The locks, those of messages that are being settled as well.
    pub(super) fn locks(&mut self) -> &mut Locks<Option<Held<M>>> {
        &mut self.locks
    }

    /// Whether renewals of locks fail.
    pub(super) fn renewals_fail(&self) -> bool {
        self.locks.is_failing()
    }

    /// When the next lock has to be renewed.
    pub(super) fn next_renewal(&self) -> Option<MonotonicTime> {
        self.locks.next_due()
    }

    /// Keeps a message under a lock that is kept already.
    pub(super) fn hold(&mut self, lock: LockToken, held: Held<M>) {
        let Some(place) = self.locks.get_mut(lock) else { return };
        self.messages += 1;
        self.bytes += held.bytes;
        self.first = [self.first, held.until].into_iter().flatten().min();
        *place = Some(held);
    }

    /// It is known now whom a message concerns: as in [`Held::new`].
    pub(super) fn replan(&mut self, lock: LockToken, users: Vec<UserId>, failures: Failures) {
        if let Some(held) = self.locks.get_mut(lock).and_then(Option::as_mut) {
            (held.open, held.users, held.failures) = (users.len(), users, failures);
        }
    }

    /// The organization whose contacts a message is about has become known.
    pub(super) fn of_organization(&mut self, lock: LockToken, organization: Option<OrganizationId>) {
        if let Some(held) = self.locks.get_mut(lock).and_then(Option::as_mut) {
            held.organization = organization;
        }
    }

    /// What is known of the rows of a message.
    pub(super) fn rows(&self, lock: LockToken) -> Option<&KnownRows> {
        self.locks.get(lock)?.as_ref().map(|held| &held.rows)
    }

    /// The same, to learn more.
    pub(super) fn rows_mut(&mut self, lock: LockToken) -> Option<&mut KnownRows> {
        self.locks.get_mut(lock)?.as_mut().map(|held| &mut held.rows)
    }

    /// Graph does not know the user of a contact. If the row of the contact was read already, that is all there is to know.
    pub(super) fn miss(&mut self, lock: LockToken, contact: ContactId, missing: Missing) {
        let Some(held) = self.locks.get_mut(lock).and_then(Option::as_mut) else { return };
        let row = RowId { organization: held.organization, contact };
        if held.rows.get(row).is_none() && held.missing.iter().all(|(known, _)| *known != contact) {
            held.missing.push((contact, missing));
        }
    }

    /// The caller's own of a message whose changes are on their way.
    pub(super) fn message_mut(&mut self, lock: LockToken) -> Option<&mut M> {
        self.locks.get_mut(lock)?.as_mut().map(|held| &mut held.message)
    }

    /// One change of a message has its outcome. Returns the message with its own outcome if it was the last.
    ///
    /// The gravest outcome decides. Of several members that failed for good, one dead letter names all.
    pub(super) fn close(&mut self, ticket: Ticket, outcome: Outcome) -> Option<(Held<M>, Outcome)> {
        let place = self.locks.get_mut(ticket.lock)?;
        let held = place.as_mut()?;
        held.open = held.open.saturating_sub(1);
        match (outcome, ticket.member) {
            (Outcome::DeadLettered(letter), Some(member)) => held.failures.push(member, letter),
            (outcome, _) if outcome.gravity() > held.outcome.gravity() => held.outcome = outcome,
            _ => {}
        }
        if held.open > 0 {
            return None;
        }
        let held = self.take(ticket.lock)?;
        let failed = held.failures.letter().map(Outcome::DeadLettered);
        let failed = failed.filter(|failed| failed.gravity() > held.outcome.gravity());
        let outcome = failed.unwrap_or_else(|| held.outcome.clone());
        Some((held, outcome))
    }

    /// Takes a message out that is settled as a whole.
    pub(super) fn take(&mut self, lock: LockToken) -> Option<Held<M>> {
        let held = self.locks.get_mut(lock)?.take()?;
        self.messages -= 1;
        self.bytes -= held.bytes;
        self.first = self.first.filter(|_| self.messages > 0);
        Some(held)
    }

    /// Takes all of them out, in the order in which they came.
    pub(super) fn drain(&mut self) -> Vec<M> {
        let held = self.locks.iter_mut().filter_map(|(lock, held)| Some((lock, held.take()?)));
        let mut drained: Vec<_> = held.collect();
        // A message and its copy came as one.
        drained.sort_by_key(|(lock, held)| (held.lineage().origin, *lock));
        (self.messages, self.bytes, self.first) = (0, 0, None);
        drained.into_iter().map(|(_, held)| held.message).collect()
    }

    /// The users that a message concerns.
    pub(super) fn users(&self, lock: LockToken) -> &[UserId] {
        self.locks.get(lock).and_then(Option::as_ref).map_or(&[], |held| &held.users)
    }

    /// The messages that have been held for so long that they are handed back, each once, in the order in which they
    /// came.
    pub(super) fn overdue(&mut self, now: MonotonicTime) -> Vec<LockToken> {
        if self.first.is_none_or(|first| first > now) {
            return Vec::new();
        }
        let mut overdue = Vec::new();
        self.first = None;
        for (lock, held) in self.locks.iter_mut() {
            let Some(held) = held else { continue };
            match held.until {
                Some(until) if until <= now => {
                    held.until = None;
                    overdue.push((until, held.lineage().origin, lock));
                }
                later => self.first = [self.first, later].into_iter().flatten().min(),
            }
        }
        overdue.sort_unstable();
        overdue.into_iter().map(|(_, _, lock)| lock).collect()
    }

    /// When the next message may have been held for so long.
    pub(super) fn next_overdue(&self) -> Option<MonotonicTime> {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        ids::SequenceNumber,
        mass_change::{Author, Provenance},
        priority::Priority,
        reason::{DeadLetter, DeadLetterReason},
    };

    const LOCK: LockToken = LockToken(Uuid::from_u128(1));
    const TICKET: Ticket = Ticket { lock: LOCK, member: None };

    fn circumstances() -> Circumstances {
        Circumstances {
            enqueued: Timestamp::UNIX_EPOCH,
            lineage: Lineage { origin: SequenceNumber(1), generation: 0, attempt: 0, content: 0 },
            urgency: Priority::Live,
            deadline: MonotonicTime::START,
            provenance: Provenance::of(Author::Unknown),
        }
    }

    /// What a message ends as, if this was its last change.
    fn closed(held: &mut HeldMessages<&'static str>, ticket: Ticket, outcome: Outcome) -> Option<Outcome> {
        held.close(ticket, outcome).map(|(held, outcome)| {
            assert_eq!((held.message, held.lineage()), (MESSAGE, circumstances().lineage));
            outcome
        })
    }

    const MESSAGE: &str = "a message";

    fn held(users: [u128; 2], failures: Failures) -> HeldMessages<&'static str> {
        let mut held = HeldMessages::default();
        held.locks().hold(LOCK, MonotonicTime::START, 0.5, None);
        let users = users.map(user).into();
        held.hold(LOCK, Held::new(MESSAGE, circumstances(), users, 10, failures, MonotonicTime::START));
        held
    }

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
            let mut held = held([1, 2], Failures::default());
            assert_eq!(closed(&mut held, TICKET, first), None);
            assert_eq!((held.len(), held.bytes()), (1, 10));
            assert_eq!(closed(&mut held, TICKET, second), Some(expected));
            assert_eq!((held.len(), held.bytes()), (0, 0));
        }
    }

    #[test]
    fn a_message_held_too_long_is_handed_back_once_and_its_lock_is_kept_until_it_is_settled() {
        let mut held = held([1, 2], Failures::default());
        assert_eq!(held.next_overdue(), Some(MonotonicTime::START));
        assert_eq!((held.overdue(MonotonicTime::START), held.next_overdue()), (vec![LOCK], None));
        assert_eq!(held.overdue(MonotonicTime::START), []);
        held.close(TICKET, Outcome::Released);
        assert!(held.close(TICKET, Outcome::Released).is_some());
        assert!(held.next_renewal().is_some());
        assert!(held.locks().release(LOCK).is_some());
    }

    #[test]
    fn an_unknown_message_is_nobody() {
        let mut held = HeldMessages::<&str>::default();
        assert!(held.close(TICKET, Outcome::Applied).is_none());
        assert!(held.users(LOCK).is_empty());
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
            let mut held = held([1, 3], unplanned());
            assert_eq!(closed(&mut held, ticket(3), third), None);
            assert_eq!(closed(&mut held, ticket(1), Outcome::Applied), Some(expected));
        }
    }
}
