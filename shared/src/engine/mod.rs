//! Everything one replica decides, without doing any of it: what arrives goes in, what must be done comes out.
//!
//! The shell reports events ([`Engine::arrived`], [`Engine::write_ended`], [`Engine::lock_lost`], ...) and
//! carries out the effects that [`Engine::next`] hands it. So the same decisions run behind sockets and in a
//! simulation, where time, chance and faults are ours.

mod aside;
mod copies;
mod credit;
mod finding;
mod held;
pub mod intake;
mod members;
mod policy;
mod reading;
mod reads;
pub mod renewal;
mod screening;
mod searches;
#[cfg(test)]
mod tests;
mod writer;

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use self::{
    aside::Aside,
    copies::{Copies, Postponed},
    held::{Held, HeldMessages, Ticket},
    reads::{Pace, Reader, Reads},
    renewal::Renewal,
    searches::{Circumstances, Searches},
};
pub use self::{
    copies::Lineage,
    intake::{Intake, Planned},
    members::{Failures, Member},
    policy::EnginePolicy,
    reads::{ReadFailure, RowAnswers},
};
use crate::{
    gate::{Gate, State},
    ids::{LockToken, UserId},
    lanes::{Action, Failure, InstallationFault, Lanes, Success, Work},
    lease::Role,
    mass_change::Provenance,
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    patch::UserWrite,
    plan::{LinkQuery, WantedRow},
    priority::Priority,
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
    step::{Step, earliest},
};

/// A message that arrived, read and planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival<M> {
    /// The caller's own, which comes back with [`Effect::Settle`].
    pub message: M,
    /// Its lock, which names it from now on.
    pub lock: LockToken,
    /// When the lock was taken.
    pub taken: MonotonicTime,
    /// Drawn evenly from 0 to 1, so that locks taken together are not renewed together.
    pub jitter: f64,
    /// How long the lock holds.
    pub locked_for: Duration,
    /// Length of its body.
    pub bytes: usize,
    /// When its original reached the queue.
    pub enqueued: Timestamp,
    /// How long ago that was.
    pub age: Duration,
    /// Its original, and which of the messages that stand for it this is.
    pub lineage: Lineage,
    /// How much it is waited for.
    pub urgency: Priority,
    /// Who made its changes, and what was decided about it.
    pub provenance: Provenance,
    /// What it asks for.
    pub intake: Intake,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<M> {
    /// Write this to the user, and report with [`Engine::write_ended`].
    Write {
        /// The values.
        write: UserWrite,
        /// Messages merged into it.
        changes: usize,
    },
    /// Settle this message, and report with [`Engine::settled`].
    Settle {
        /// The message.
        message: M,
        /// How it ends.
        outcome: Outcome,
    },
    /// Renew these locks in one request, and report with [`Engine::renewed`].
    Renew(Vec<LockToken>),
    /// Look whether the user still shows this, and report with [`Engine::verified`].
    Verify(UserWrite),
    /// Ask who is meant by the message under this lock, plan it anew with the answers, and report with
    /// [`Engine::found`].
    Find {
        /// Its lock.
        lock: LockToken,
        /// The questions.
        queries: Vec<LinkQuery>,
    },
    /// Read these rows in one question, at most a hundred, and report with [`Engine::rows_read`].
    Read {
        /// The number of the question.
        batch: u64,
        /// The rows.
        rows: Vec<WantedRow>,
    },
    /// Find out whether the installation works, and report with [`Engine::probed`].
    Probe,
}

/// How a write ended.
pub type WriteResult = Result<Success, Failure>;

/// What a message asks for by the answers to its questions, or why there are none.
pub type SearchResult = Result<Intake, Failure>;

/// What a look showed to have been undone.
pub type LookResult = Result<Vec<Property>, Failure>;

/// The decisions of one replica.
#[derive(Debug)]
pub struct Engine<M> {
    policy: EnginePolicy,
    lanes: Lanes<Ticket>,
    held: HeldMessages<M>,
    ready: VecDeque<Effect<M>>,
    /// How long locks hold, as last seen.
    locked_for: Option<Duration>,
    copies: Copies<M>,
    searches: Searches,
    aside: Aside,
    reads: Reads,
    read_pace: Pace,
    /// Credit that was given and not used.
    given: usize,
    /// Changes whose time lay in the future.
    times_cut: u64,
    probing: bool,
    stopping: bool,
    /// Whether this replica writes.
    role: Role,
}

impl<M> Engine<M> {
    /// An engine that holds nothing.
    #[must_use]
    pub fn new(policy: EnginePolicy) -> Self {
        Self {
            lanes: Lanes::new(policy.lanes, Gate::new(policy.gate, policy.pace.clone())),
            aside: Aside::new(policy.mass_change.clone()),
            policy,
            held: HeldMessages::default(),
            ready: VecDeque::new(),
            locked_for: None,
            copies: Copies::default(),
            searches: Searches::default(),
            reads: Reads::default(),
            read_pace: Pace::default(),
            given: 0,
            times_cut: 0,
            probing: false,
            stopping: false,
            role: Role::Alone,
        }
    }

    /// A message arrived.
    pub fn arrived(&mut self, arrival: Arrival<M>, now: MonotonicTime) {
        let Arrival { message, lock, taken, jitter, locked_for, bytes, enqueued, age, .. } = arrival;
        let Arrival { lineage, urgency, provenance, intake, .. } = arrival;
        self.given = self.given.saturating_sub(1);
        self.locked_for = Some(locked_for);
        self.locks_hold_for(locked_for);
        self.held.locks().hold(lock, taken, jitter, None);
        if let Some(then) = self.copies.replace(lineage, now) {
            self.copies.postpone(then, Postponed { message, lock, lineage, outcome: Outcome::Copied });
            return;
        }
        let deadline = now + self.policy.max_age.saturating_sub(age);
        let until = now + self.policy.max_lock_hold;
        let mut circumstances = Circumstances { enqueued, lineage, urgency, deadline, provenance };
        let intake = self.screen(intake, &mut circumstances);
        match intake {
            Intake::Settle(outcome) => return self.settle(lock, message, outcome, lineage, now),
            Intake::LookUp(queries) => {
                let held = Held::of_nobody(message, circumstances.clone(), bytes, until);
                return self.search(lock, held, queries, circumstances, now);
            }
            Intake::Read(rows) => {
                let held = Held::of_nobody(message, circumstances.clone(), bytes, until);
                return self.read(lock, held, rows, Reader::new(circumstances, Vec::new()), now);
            }
            Intake::Work(planned, failures) => {
                let users = planned.iter().map(|write| write.user).collect();
                self.held
                    .hold(lock, Held::new(message, circumstances.clone(), users, bytes, failures, until));
                self.take_up(lock, &circumstances, planned, now);
            }
        }
        if self.stopping {
            self.release_waiting(now);
        }
    }

    /// What to do next, or until when there is nothing if nothing happens before.
    pub fn next(&mut self, now: MonotonicTime) -> Step<Effect<M>> {
        let due = self.held.locks().due(now);
        if !due.is_empty() {
            return Step::Do(Effect::Renew(due));
        }
        self.hand_back_long_held(now);
        let due = self.copies.due(now);
        self.go_on(due);
        let lanes = loop {
            self.lanes.crowded(self.is_crowded());
            if let Some(effect) = self.ready.pop_front() {
                return Step::Do(effect);
            }
            match self.lanes.next(now) {
                Step::Do(Action::Write { write, changes }) => {
                    return Step::Do(Effect::Write { write, changes });
                }
                Step::Do(Action::Verify(write)) => return Step::Do(Effect::Verify(write)),
                Step::Do(Action::Settle(settled)) => self.close(settled, now),
                Step::Wait(until) => break until,
            }
        };
        let search = match self.next_search(now) {
            Ok(effect) => return Step::Do(effect),
            Err(until) => until,
        };
        let read = match self.next_read(now) {
            Ok(effect) => return Step::Do(effect),
            Err(until) => until,
        };
        let probe = self.lanes.probe_due().filter(|_| !self.probing && !self.stopping);
        if probe.is_some_and(|due| due <= now) {
            self.probing = true;
            return Step::Do(Effect::Probe);
        }
        let held = [self.held.next_renewal(), self.held.next_overdue()];
        Step::Wait(earliest([lanes, probe, search, read, self.copies.next_due(), earliest(held)]))
    }

    /// A write ended. `jitter` is drawn evenly from 0 to 1.
    pub fn write_ended(&mut self, user: UserId, result: WriteResult, now: MonotonicTime, jitter: f64) {
        let settled = self.lanes.finished(user, result, now, jitter);
        self.close(settled, now);
        if self.stopping || self.state(now) == State::Paused {
            self.release_waiting(now);
        }
    }

    /// The copy for later that takes the place of this message was confirmed by the queue.
    pub fn copied(&mut self, message: Lineage) {
        self.copies.sent(message);
    }

    /// A message whose place a copy takes is gone from the queue.
    pub fn removed(&mut self, message: Lineage) {
        let waited = self.copies.removed(message);
        self.go_on(waited);
    }

    /// Why nothing is written, while the installation is at fault.
    #[must_use]
    pub fn fault(&self) -> Option<&InstallationFault> {
        self.lanes.fault()
    }

    /// Properties that Graph refuses of everybody while others are written, with what it answers.
    pub fn refused_properties(&self) -> impl Iterator<Item = (&str, &[Property])> {
        self.lanes.refused_properties()
    }

    /// How often the row versions of an organization were seen to have gone back.
    #[must_use]
    pub fn went_back(&self) -> u64 {
        self.lanes.went_back()
    }

    /// How many changes had a time that lay in the future, which was cut.
    #[must_use]
    pub fn times_cut(&self) -> u64 {
        self.times_cut
    }

    /// A look at a user ended: with the properties whose values were undone, or with a failure.
    pub fn verified(&mut self, user: UserId, result: LookResult, now: MonotonicTime, jitter: f64) {
        let settled = self.lanes.verified(user, result, now, jitter);
        self.close(settled, now);
        if self.stopping || self.state(now) == State::Paused {
            self.release_waiting(now);
        }
    }

    /// How long locks hold has become known better.
    pub fn locks_hold_for(&mut self, length: Duration) {
        self.held.locks().learn(length);
        self.lanes.locks_hold_for(length);
    }

    /// The renewals that were asked for are answered. Returns how many locks are lost.
    pub fn renewed(
        &mut self,
        answers: impl IntoIterator<Item = (LockToken, Renewal)>,
        now: MonotonicTime,
    ) -> usize {
        let lost = self.held.locks().renewed(answers, now);
        for lock in &lost {
            self.lock_lost(*lock, now);
        }
        lost.len()
    }

    /// The settlement of the message under this lock has ended, one way or another.
    pub fn settled(&mut self, lock: LockToken) {
        self.held.locks().release(lock);
        self.aside.settled(lock);
    }

    /// A lock is lost: what of the message was not written yet must not be, because it comes again.
    fn lock_lost(&mut self, lock: LockToken, now: MonotonicTime) {
        let postponed = self.copies.withdraw(Some(lock));
        self.give_back(postponed);
        self.withdraw(lock, &Outcome::Released, now);
    }

    /// A probe ended.
    pub fn probed(&mut self, well: bool, now: MonotonicTime, jitter: f64) {
        self.probing = false;
        self.lanes.probed(well, now, jitter);
    }

    /// Starts nothing more and gives back what was not begun.
    pub fn stop(&mut self, now: MonotonicTime) {
        self.stopping = true;
        self.release_waiting(now);
        let postponed = self.copies.withdraw(None);
        self.give_back(postponed);
    }

    /// Whether nothing is under way and nothing waits to be settled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lanes.in_flight() == 0 && self.ready.is_empty() && self.held.len() == 0 && self.copies.is_idle()
    }

    /// What holds writes back now.
    #[must_use]
    pub fn state(&self, now: MonotonicTime) -> State {
        self.lanes.gate().state(now)
    }

    /// When it is found out next whether writes work again, if something is wrong with them.
    #[must_use]
    pub fn next_try(&self) -> Option<MonotonicTime> {
        self.lanes.gate().next_try()
    }

    /// Messages held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Writes under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.lanes.in_flight()
    }

    /// The messages in the write of this user that is under way.
    pub fn under_way(&self, user: UserId) -> impl Iterator<Item = LockToken> {
        self.lanes.under_way(user).map(|ticket| ticket.lock)
    }

    /// The message under this lock, while its changes are on their way.
    pub fn message_mut(&mut self, lock: LockToken) -> Option<&mut M> {
        self.held.message_mut(lock)
    }

    /// Users to whom a write is owed or under way.
    #[must_use]
    pub fn waiting_lanes(&self) -> usize {
        self.lanes.waiting_lanes()
    }

    /// Users whose writes failed in a row, nobody's having been accepted since.
    #[must_use]
    pub fn failed_users(&self) -> usize {
        self.lanes.gate().failed_users()
    }

    /// Writes per second that the budget allows now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.lanes.gate().rate()
    }

    fn withdraw(&mut self, lock: LockToken, outcome: &Outcome, now: MonotonicTime) {
        self.withdraw_search(lock, outcome, now);
        self.withdraw_read(lock, outcome, now);
        for user in self.held.users(lock).to_vec() {
            let withdrawn = self.lanes.withdraw(user, |ticket| ticket.lock == lock);
            self.close(withdrawn.into_iter().map(|work| (work, outcome.clone())).collect(), now);
        }
    }

    /// A message held too long is handed back as a copy for later; its lock could be lost at any time.
    fn hand_back_long_held(&mut self, now: MonotonicTime) {
        for lock in self.held.overdue(now) {
            let letter = DeadLetter::new(
                DeadLetterReason::RetryBudgetExhausted,
                "the message was held under lock as long as allowed, and its turn did not come",
            );
            self.withdraw(lock, &Outcome::Returned(letter), now);
        }
    }

    fn release_waiting(&mut self, now: MonotonicTime) {
        let released = self.lanes.release_waiting();
        self.close(released, now);
        self.release_searches(now);
        self.release_reads(now);
    }

    /// Settles what had to wait.
    fn go_on(&mut self, postponed: Vec<Postponed<M>>) {
        let settle = |Postponed { message, outcome, .. }| Effect::Settle { message, outcome };
        self.ready.extend(postponed.into_iter().map(settle));
    }

    fn give_back(&mut self, messages: Vec<M>) {
        let release = |message| Effect::Settle { message, outcome: Outcome::Released };
        self.ready.extend(messages.into_iter().map(release));
    }

    fn close(&mut self, settled: Vec<(Work<Ticket>, Outcome)>, now: MonotonicTime) {
        for (work, outcome) in settled {
            let lock = work.ticket.lock;
            self.note_missing(&work, &outcome);
            let Some((held, outcome)) = self.held.close(work.ticket, outcome) else { continue };
            let held = match outcome {
                Outcome::DeadLettered(_) => self.read_for_missing(lock, held, now),
                _ => Some(held),
            };
            if let Some(held) = held {
                let lineage = held.lineage();
                self.settle(lock, held.message, outcome, lineage, now);
            }
        }
    }

    fn settle(
        &mut self,
        lock: LockToken,
        message: M,
        outcome: Outcome,
        lineage: Lineage,
        now: MonotonicTime,
    ) {
        if outcome.sends_copy()
            && !self.stopping
            && let Some(until) = self.copies.hold_back(lineage, now)
        {
            return self.copies.postpone(until, Postponed { message, lock, lineage, outcome });
        }
        self.aside.settling(lock, &outcome);
        self.ready.push_back(Effect::Settle { message, outcome });
    }
}
