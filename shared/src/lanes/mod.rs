//! The scheduler: one lane per user, one write per user at a time, everything that waits merged into it.
//!
//! It decides and remembers; it does nothing itself. The shell pushes planned changes in, asks for the
//! [`next`](Lanes::next) thing to do, and reports how a write ended. What the shell holds for a message, the
//! *ticket*, travels along untouched and comes back with a [`Verdict`].

mod applied;
mod lane;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    num::NonZeroUsize,
    time::Duration,
};

use self::{applied::Applied, lane::Lane};
use crate::{
    backoff::Backoff,
    class::Class,
    gate::{Gate, Permit, State},
    ids::UserId,
    moment::Moment,
    patch::{UserPatch, UserWrite},
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
    register::Stamp,
};

/// A planned change on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work<T> {
    /// The user.
    pub user: UserId,
    /// How new the change is.
    pub stamp: Stamp,
    /// What it asks for.
    pub patch: UserPatch,
    /// Until when it may be tried.
    pub deadline: Moment,
    /// The shell's own.
    pub ticket: T,
}

/// Bounds and patience of the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Writes under way at once.
    pub concurrency: usize,
    /// Messages held, waiting or under way.
    pub messages: usize,
    /// Users whose newest versions are remembered.
    pub remembered_users: NonZeroUsize,
    /// Tries of one write while the locks of its messages are held.
    pub tries_in_place: u32,
    /// Waits between these tries.
    pub backoff: Backoff,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Graph has it.
    Applied {
        /// Properties that were left out because the user's mark shows a newer version.
        superseded: Vec<Property>,
    },
    /// It failed.
    Failed(Failure),
}

/// How and why a write failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: Class,
    /// What to tell if it is for good.
    pub dead_letter: DeadLetter,
    /// A failure that may pass, but only for so long: a user who was created moments ago can be unknown.
    pub grace: Option<Duration>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its effect is in Graph.
    Applied,
    /// Newer values than all of its own are in Graph.
    Stale,
    /// Hand it back for later: trying here and now did not help.
    RetryLater(DeadLetter),
    /// Take it out for good.
    DeadLetter(DeadLetter),
    /// Give it back untouched; no attempt of it is counted.
    Release,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Write this to the user, and report with [`Lanes::finished`].
    Write {
        /// The values.
        write: UserWrite,
        /// How many messages are merged into it.
        changes: usize,
    },
    /// Settle these.
    Settle(Vec<(Work<T>, Verdict)>),
    /// Nothing now; ask again at that time, or when something has changed.
    Wait(Option<Moment>),
}

/// The scheduler.
#[derive(Debug)]
pub struct Lanes<T> {
    limits: Limits,
    gate: Gate,
    users: HashMap<UserId, Lane<T>>,
    /// Lanes with something to write, in the order of their turn.
    ready: VecDeque<UserId>,
    /// Lanes that wait for another try.
    delayed: BTreeSet<(Moment, UserId)>,
    applied: Applied,
    held: usize,
    in_flight: usize,
}

impl<T> Lanes<T> {
    /// An idle scheduler.
    #[must_use]
    pub fn new(limits: Limits, gate: Gate) -> Self {
        Self {
            applied: Applied::new(limits.remembered_users),
            limits,
            gate,
            users: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            held: 0,
            in_flight: 0,
        }
    }

    /// The gate, for its state.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Messages held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Writes under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Users with something waiting or under way.
    #[must_use]
    pub fn waiting_lanes(&self) -> usize {
        self.users.len()
    }

    /// How many more messages can be taken in.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limits.messages.saturating_sub(self.held)
    }

    /// Takes a planned change in.
    pub fn push(&mut self, work: Work<T>) {
        let user = work.user;
        let lane = self.users.entry(user).or_default();
        let queued = lane.is_flying() || lane.has_waiting();
        lane.push(work);
        self.held += 1;
        if !queued {
            self.ready.push_back(user);
        }
    }

    /// What to do next.
    pub fn next(&mut self, now: Moment) -> Next<T> {
        self.wake(now);
        while self.in_flight < self.limits.concurrency && !self.ready.is_empty() {
            match self.gate.ask(now) {
                Permit::Now => {}
                Permit::At(moment) => return Next::Wait(Some(moment)),
                Permit::AfterProbe => return Next::Wait(None),
            }
            match self.start_next(now) {
                Some(step) => return step,
                None => self.gate.unused(),
            }
        }
        Next::Wait(self.delayed.first().map(|(moment, _)| *moment))
    }

    /// When a lane or the gate may let something through, if nothing else happens before.
    #[must_use]
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        let delayed = self.delayed.first().map(|(moment, _)| *moment);
        let idle = self.ready.is_empty() || self.in_flight >= self.limits.concurrency;
        if idle { delayed } else { [delayed, self.gate.opens_at(now)].into_iter().flatten().min() }
    }

    /// The write of this user ended. `share` is drawn evenly from 0 to 1, for jitter.
    ///
    /// Returns what becomes of its messages; those that are tried again stay here.
    pub fn finished(
        &mut self,
        user: UserId,
        outcome: Outcome,
        now: Moment,
        share: f64,
    ) -> Vec<(Work<T>, Verdict)> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let settled = match outcome {
            Outcome::Applied { superseded } => {
                self.gate.succeeded(now);
                self.landed(user, &superseded)
            }
            Outcome::Failed(failure) => self.failed(user, &failure, now, share),
        };
        self.held -= settled.len();
        settled
    }

    /// When to probe next, while a fault of the installation keeps everything closed.
    #[must_use]
    pub fn probe_due(&self) -> Option<Moment> {
        self.gate.probe_due()
    }

    /// A probe that was made outside of any lane ended.
    pub fn probed(&mut self, well: bool, now: Moment, share: f64) {
        if well {
            self.gate.begin_trial(now);
        } else {
            self.gate.pause(now, share);
        }
    }

    /// Takes out everything that is not under way, to be given back: at shutdown, and when intake pauses.
    pub fn release_waiting(&mut self) -> Vec<(Work<T>, Verdict)> {
        self.ready.clear();
        self.delayed.clear();
        let mut released = Vec::new();
        self.users.retain(|_, lane| {
            released.extend(lane.drain_waiting().map(|work| (work, Verdict::Release)));
            lane.is_flying()
        });
        self.held -= released.len();
        released
    }

    /// Takes out what waits for this user under such a ticket: its lock is lost, so it will be delivered
    /// again and must not be applied twice. What is under way already is left to its end.
    pub fn withdraw(&mut self, user: UserId, is: impl Fn(&T) -> bool) -> Vec<Work<T>> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let withdrawn = lane.withdraw(is);
        self.held -= withdrawn.len();
        withdrawn
    }

    fn wake(&mut self, now: Moment) {
        while let Some(&(moment, user)) = self.delayed.first() {
            if moment > now {
                return;
            }
            self.delayed.pop_first();
            self.ready.push_back(user);
        }
    }

    /// Starts the write of the lane whose turn it is; `None` if that lane had nothing left.
    fn start_next(&mut self, now: Moment) -> Option<Next<T>> {
        let user = self.ready.pop_front()?;
        let lane = self.users.get_mut(&user)?;
        // A lane can stand in the queue a second time after all that waited in it was withdrawn.
        if lane.is_flying() || !lane.has_waiting() {
            self.drop_if_idle(user);
            return None;
        }
        let known = self.applied.get(user);
        let entries = lane.take_off(&known);
        if !entries.is_empty() {
            lane.tried_since.get_or_insert(now);
            self.in_flight += 1;
            let write = UserWrite { user, entries, known: known.entries() };
            return Some(Next::Write { write, changes: lane.flying_len() });
        }
        self.gate.unused();
        let stale = lane.landed();
        self.held -= stale.len();
        self.rest(user);
        Some(Next::Settle(stale.into_iter().map(|work| (work, Verdict::Stale)).collect()))
    }

    fn landed(&mut self, user: UserId, superseded: &[Property]) -> Vec<(Work<T>, Verdict)> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let known = std::mem::take(&mut lane.pending);
        let mut landed = lane.landed();
        // Oldest first: if a crash cuts settling short, what is delivered again is the newer part.
        landed.sort_by_key(|work| work.stamp.order());
        let settled = landed
            .into_iter()
            .map(|work| {
                let held = known.holds(work.stamp, &work.patch, superseded);
                let verdict = if held { Verdict::Applied } else { Verdict::Stale };
                (work, verdict)
            })
            .collect();
        self.applied.put(user, known);
        self.rest(user);
        settled
    }

    fn failed(
        &mut self,
        user: UserId,
        failure: &Failure,
        now: Moment,
        share: f64,
    ) -> Vec<(Work<T>, Verdict)> {
        match failure.class {
            Class::Transient => {
                // A user who may only be too new says nothing about Graph's health.
                if failure.grace.is_none() {
                    self.gate.failed(user, now, share);
                } else {
                    self.gate.succeeded(now);
                }
                self.try_again(user, failure, now, share)
            }
            Class::Throttled { retry_after } => {
                self.gate.throttled(retry_after, now, share);
                self.turn_back(user);
                Vec::new()
            }
            Class::Installation => {
                // A probe had succeeded, and this write was refused all the same. It may be this user's fault
                // (an administrator's, say): set aside, it cannot keep others from ending the pause.
                let tried = self.gate.state(now) == State::Trial;
                self.gate.pause(now, share);
                if tried {
                    return self.set_aside(user, &failure.dead_letter);
                }
                self.turn_back(user);
                Vec::new()
            }
            Class::Permanent => {
                self.gate.succeeded(now);
                self.refused(user, &failure.dead_letter)
            }
        }
    }

    fn try_again(
        &mut self,
        user: UserId,
        failure: &Failure,
        now: Moment,
        share: f64,
    ) -> Vec<(Work<T>, Verdict)> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        lane.failures += 1;
        let out_of_grace =
            failure.grace.is_some_and(|grace| lane.tried_since.is_none_or(|since| now - since >= grace));
        if out_of_grace {
            return self.refused(user, &failure.dead_letter);
        }
        if failure.grace.is_none() && lane.failures >= self.limits.tries_in_place {
            return self.hand_back(user, &failure.dead_letter, now);
        }
        let again = now + self.limits.backoff.delay(lane.failures, share);
        lane.turn_back();
        self.delayed.insert((again, user));
        Vec::new()
    }

    fn hand_back(&mut self, user: UserId, cause: &DeadLetter, now: Moment) -> Vec<(Work<T>, Verdict)> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let handed: Vec<_> = lane
            .landed()
            .into_iter()
            .map(|work| {
                let verdict = if work.deadline <= now {
                    Verdict::DeadLetter(exhausted(cause))
                } else {
                    Verdict::RetryLater(cause.clone())
                };
                (work, verdict)
            })
            .collect();
        self.rest(user);
        handed
    }

    fn set_aside(&mut self, user: UserId, cause: &DeadLetter) -> Vec<(Work<T>, Verdict)> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let landed = lane.landed();
        self.rest(user);
        landed.into_iter().map(|work| (work, Verdict::RetryLater(cause.clone()))).collect()
    }

    fn refused(&mut self, user: UserId, dead_letter: &DeadLetter) -> Vec<(Work<T>, Verdict)> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let guilty = lane.take_apart();
        self.rest(user);
        guilty.into_iter().map(|work| (work, Verdict::DeadLetter(dead_letter.clone()))).collect()
    }

    fn turn_back(&mut self, user: UserId) {
        if let Some(lane) = self.users.get_mut(&user) {
            lane.turn_back();
            self.ready.push_front(user);
        }
    }

    fn drop_if_idle(&mut self, user: UserId) {
        if self.users.get(&user).is_some_and(|lane| !lane.is_flying() && !lane.has_waiting()) {
            self.users.remove(&user);
        }
    }

    /// After a write: another turn for a lane that still has something, none for an empty one.
    fn rest(&mut self, user: UserId) {
        if self.users.get(&user).is_some_and(Lane::has_waiting) {
            self.ready.push_back(user);
        } else {
            self.drop_if_idle(user);
        }
    }
}

fn exhausted(cause: &DeadLetter) -> DeadLetter {
    let text = format!("retried until its time was over; the last failure: {}", cause.description.as_str());
    DeadLetter::new(DeadLetterReason::RetryBudgetExhausted, &text)
}
