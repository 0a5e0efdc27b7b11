//! The second look at what was written: nothing of it is settled until no older write of another replica can be
//! on its way any more, and the user still shows it.

use std::time::Duration;

use uuid::Uuid;

use super::{Action, InstallationFault, Lanes, Work, failing::later, lane::Lane};
use crate::{
    class::Class,
    gate::State,
    ids::{SequenceNumber, UserId},
    lanes::Failure,
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    patch::UserWrite,
    priority::Priority,
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
    step::Step,
};

/// How long after a write to look at the user again while a replica that wrote before may still have a call under way:
/// longer than a look and a write take together.
const SECOND_LOOK: Duration = Duration::from_secs(10);

impl<T> Lanes<T> {
    /// The look at a user ended: with the properties whose values were undone, or with a failure.
    ///
    /// Returns what becomes of the messages that waited for it.
    pub fn verified(
        &mut self,
        user: UserId,
        result: Result<Vec<Property>, Failure>,
        now: MonotonicTime,
        jitter: f64,
    ) -> Vec<(Work<T>, Outcome)> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.unverified.looked(user);
        if result.is_ok() {
            self.gate.seen_well(now);
        }
        let settled = match result {
            // Another replica may write, and undo later what is still there now.
            Ok(_) if self.is_unsure(now) => {
                self.look_again(user, now);
                Vec::new()
            }
            Ok(undone) if undone.is_empty() => self.unverified.take(user),
            Ok(undone) if self.unverified.may_repair(user) => {
                self.repair(user, &undone);
                Vec::new()
            }
            Ok(_) => self.give_up(user, now),
            Err(failure) if failure.class != Class::Permanent || self.is_unsure(now) => {
                self.look_failed(user, &failure, now, jitter);
                self.look_again(user, now);
                Vec::new()
            }
            // The user cannot be looked at, and will not be: what was written has to do.
            Err(_) => self.unverified.take(user),
        };
        self.held -= settled.len();
        self.rest(user);
        settled
    }

    /// Looks at a user whose write is long enough ago that no older one can be on its way any more.
    pub(super) fn start_verifying(&mut self, now: MonotonicTime) -> Step<Action<T>> {
        let free = self.in_flight < self.limits.concurrency;
        let Some(opens) = self.gate.may_look_at(now).filter(|_| free) else { return Step::Wait(None) };
        while let Some((due, user)) = self.unverified.first() {
            let due = due.max(opens);
            if due > now {
                return Step::Wait(Some(due));
            }
            if self.users.get(&user).is_some_and(Lane::is_flying) {
                self.look_again(user, now);
                continue;
            }
            self.in_flight += 1;
            self.unverified.look(user);
            let entries = self.unverified.written(user);
            let (known, contacts) = (Vec::new(), Vec::new());
            let urgency = Priority::Live;
            return Step::Do(Action::Verify(UserWrite { user, entries, known, urgency, contacts }));
        }
        Step::Wait(None)
    }

    /// How long after a write of this user that ends now to look at the user again; `None` not to look.
    pub(super) fn looks_after(&self, user: UserId, written: bool, now: MonotonicTime) -> Option<Duration> {
        let usual = self.verify_after(now);
        // What was repaired is looked at again, whoever may still undo it: its messages wait for that look.
        if self.unverified.holds(user) {
            Some(usual.unwrap_or(SECOND_LOOK))
        } else {
            usual.filter(|_| written)
        }
    }

    /// The same after any write.
    fn verify_after(&self, now: MonotonicTime) -> Option<Duration> {
        // Not before the last call of a rival has taken effect; and a write that ends a little later may have looked at
        // the user before that.
        let rival = self.rival_until.filter(|until| now < *until + SECOND_LOOK);
        let rival = rival.map(|until| (until - now).max(SECOND_LOOK));
        // The call began while this replica was the writer, and ended when it was sure no more: one that was frozen meanwhile has
        // another one write already, which may have looked at the user before.
        let unsure = self.is_unsure(now).then_some(SECOND_LOOK);
        self.limits.verify_after.max(rival).max(unsure)
    }

    /// Whether another replica may write.
    fn is_unsure(&self, now: MonotonicTime) -> bool {
        self.gate.state(now) == State::NotWriter
    }

    /// It is too early for a look, or the write that would have repaired came to nothing: look after another while.
    pub(super) fn look_again(&mut self, user: UserId, now: MonotonicTime) {
        // Never at once: what is in the way of the look, such as another write of the user, would still be.
        self.unverified.postpone(user, now + self.verify_after(now).unwrap_or(SECOND_LOOK));
    }

    /// A user's messages come again, here or elsewhere. Somebody may have undone what was written: were it
    /// remembered, such a message would be completed without a look.
    pub(super) fn forget(&mut self, user: UserId) {
        self.applied.forget(user);
        if let Some(lane) = self.users.get_mut(&user) {
            lane.forget_earlier();
        }
    }

    /// What the failure of a look says about Graph as a whole.
    fn look_failed(&mut self, user: UserId, failure: &Failure, now: MonotonicTime, jitter: f64) {
        if failure.suspicion.is_some() {
            // Whose fault it is, a write will tell.
            self.gate.undecided(now);
        } else {
            self.read_failed(user, failure, now, jitter);
        }
    }

    fn read_failed(&mut self, user: UserId, failure: &Failure, now: MonotonicTime, jitter: f64) {
        match failure.class {
            // A user who may only be too new says nothing about Graph's health.
            Class::Transient if failure.grace.is_none() => self.gate.failed(user, now, jitter),
            Class::Transient | Class::Permanent => self.gate.seen_well(now),
            Class::Throttled { retry_after } => self.gate.throttled(retry_after, now, jitter),
            Class::Installation => {
                let text = failure.dead_letter.description.as_str().into();
                self.fault = Some(InstallationFault { about: None, text });
                self.gate.pause(now, jitter);
            }
        }
    }

    /// Graph was asked who is meant, and answered.
    pub fn looked_well(&mut self, now: MonotonicTime) {
        self.gate.seen_well(now);
    }

    /// Graph was asked who is meant by a message, and did not answer that. For the breaker the message stands for its user.
    pub fn search_failed(
        &mut self,
        message: SequenceNumber,
        failure: &Failure,
        now: MonotonicTime,
        jitter: f64,
    ) {
        let stands_for_it = UserId(Uuid::from_u64_pair(0, message.0.unsigned_abs()));
        self.read_failed(stands_for_it, failure, now, jitter);
    }

    fn repair(&mut self, user: UserId, undone: &[Property]) {
        let mut entries = self.unverified.written(user);
        entries.retain(|entry| undone.contains(&entry.property));
        self.users.entry(user).or_default().repair(entries);
    }

    /// Somebody undoes what is written here as often as it is written: another replica that repairs as well,
    /// which a pause parts from this one, or a stranger to whom the attribute of the mark belongs too.
    fn give_up(&mut self, user: UserId, now: MonotonicTime) -> Vec<(Work<T>, Outcome)> {
        let cause = DeadLetter::new(
            DeadLetterReason::GraphRefused,
            "what was written to the user was gone again each time it was looked at; find out what else writes \
             these properties or the attribute of the guard",
        );
        self.forget(user);
        let messages = self.unverified.take(user);
        messages
            .into_iter()
            .map(|(work, _)| {
                let outcome = later(&work, &cause, false, true, now);
                (work, outcome)
            })
            .collect()
    }
}
