//! The scheduler: one lane per user, one write per user at a time, everything that waits merged into it.
//!
//! It decides and remembers; it does nothing itself. The shell pushes planned changes in, asks for the
//! [`next`](Lanes::next) thing to do, and reports how a write ended. What the shell holds for a message, the
//! *ticket*, travels along untouched and comes back with an [`Outcome`].

mod api;
mod crowd;
mod evidence;
mod failing;
mod lane;
mod last_written;
mod linger;
mod parked;
mod read_back;
mod ready_queue;
#[cfg(test)]
mod tests;
mod unverified;

use std::{collections::BTreeSet, time::Duration};

pub use self::{
    api::{About, Action, Failure, InstallationFault, LaneLimits, Success, Suspicion, Work},
    failing::exhausted,
};
use self::{
    crowd::Crowd,
    evidence::Evidence,
    lane::Lane,
    last_written::Applied,
    linger::Gathering,
    parked::Parked,
    ready_queue::{Among, First, Newness, Turns},
    unverified::Unverified,
};
use crate::{
    gate::{Gate, Permit, State},
    ids::{IdMap, UserId},
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    patch::UserWrite,
    plan::SkipReason,
    priority::Priority,
    property::Property,
    rate_limiter::RateLimiter,
    step::{Step, earliest},
};

/// The scheduler.
#[derive(Debug)]
pub struct Lanes<T> {
    limits: LaneLimits,
    gate: Gate,
    users: IdMap<UserId, Lane<T>>,
    /// Lanes with something to write.
    ready: Turns,
    /// Lanes that wait for another try.
    delayed: BTreeSet<(MonotonicTime, UserId)>,
    gathering: Gathering,
    /// Whose turn it is while there is no room for more messages.
    crowd: Crowd,
    is_crowded: bool,
    applied: Applied,
    unverified: Unverified<T>,
    evidence: Evidence,
    parked: Parked<T>,
    /// Why nothing is written, while the installation is at fault.
    fault: Option<InstallationFault>,
    /// How often row versions of an organization were seen to have gone back.
    went_back: u64,
    /// Until when a call of a replica that wrote before this one may still take effect.
    rival_until: Option<MonotonicTime>,
    held: usize,
    in_flight: usize,
}

impl<T> Lanes<T> {
    /// An idle scheduler.
    #[must_use]
    pub fn new(limits: LaneLimits, gate: Gate) -> Self {
        Self {
            applied: Applied::new(limits.remembered_users),
            unverified: Unverified::default(),
            evidence: Evidence::new(limits.many_users),
            parked: Parked::default(),
            fault: None,
            went_back: 0,
            rival_until: None,
            limits,
            gate,
            users: IdMap::default(),
            ready: Turns::default(),
            delayed: BTreeSet::new(),
            gathering: Gathering::default(),
            crowd: Crowd::default(),
            is_crowded: false,
            held: 0,
            in_flight: 0,
        }
    }

    /// The same after everything under way was given up: it knows of no change and of no user, as after a restart.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self {
            went_back: self.went_back,
            fault: self.fault.clone(),
            ..Self::new(self.limits, self.gate.clone().without_calls())
        }
    }

    /// Whether writes may be started here.
    pub fn set_writer(&mut self, writer: bool) {
        self.gate.set_writer(writer);
    }

    /// Until then a call of another replica may still take effect, so every write is looked at again.
    pub fn set_rival(&mut self, until: MonotonicTime) {
        self.rival_until = Some(until);
    }

    /// The write budget.
    pub fn pace(&mut self) -> &mut RateLimiter {
        self.gate.pace()
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

    /// Users to whom a write is owed or under way.
    #[must_use]
    pub fn waiting_lanes(&self) -> usize {
        self.ready.len() + self.delayed.len() + self.in_flight
    }

    /// How often the row versions of an organization were seen to have gone back.
    #[must_use]
    pub fn went_back(&self) -> u64 {
        self.went_back
    }

    /// The tickets of the changes in the write of this user that is under way, oldest arrival first.
    pub fn under_way(&self, user: UserId) -> impl Iterator<Item = &T> {
        self.users.get(&user).into_iter().flat_map(Lane::flying).map(|work| &work.ticket)
    }

    /// Takes a planned change in.
    pub fn push(&mut self, work: Work<T>, now: MonotonicTime) {
        let (user, urgency, newness) = (work.user, work.urgency, Newness::from(work.stamp));
        let lane = self.users.entry(user).or_default();
        let queued = lane.is_flying() || lane.has_waiting();
        let is_part = lane.is_part(&work);
        lane.push(work);
        self.held += 1;
        if !is_part {
            self.gathering.arrived(self.gate.rate(), now);
        }
        if queued {
            self.ready.renew(user, urgency, newness);
        } else {
            self.ready.push_back(user, urgency, newness);
        }
    }

    /// What to do next.
    pub fn next(&mut self, now: MonotonicTime) -> Step<Action<T>> {
        self.wake(now);
        let judged = self.judge_parked(now);
        if !judged.is_empty() {
            self.held -= judged.len();
            return Step::Do(Action::Settle(judged));
        }
        // Looks cost nothing of the budget; while writes wait for it, they go on.
        let write = match self.start_writing(now) {
            Step::Wait(until) => until,
            write @ Step::Do(_) => return write,
        };
        let look = match self.start_verifying(now) {
            Step::Wait(until) => until,
            look @ Step::Do(_) => return look,
        };
        let delayed = self.delayed.first().map(|(moment, _)| *moment);
        Step::Wait(earliest([write, look, delayed, self.parked.next_due()]))
    }

    /// Starts the next write, or reports what holds it up.
    fn start_writing(&mut self, now: MonotonicTime) -> Step<Action<T>> {
        while self.in_flight < self.limits.concurrency && !self.ready.is_empty() {
            let (among, held_until) = match self.gate.may_replay(now) {
                Permit::Now => (Among::All, None),
                Permit::At(moment) => (Among::NotReplayed, Some(moment)),
                Permit::AfterProbe => (Among::NotReplayed, None),
            };
            if self.ready.count(among) == 0 {
                return Step::Wait(held_until);
            }
            let first = match self.turn(among, now) {
                Step::Do(first) => first,
                Step::Wait(until) => return Step::Wait(earliest([until, held_until])),
            };
            let spare = if self.ready.up_to(Priority::Live) > 0 { now } else { self.gate.spare_at(now) };
            if spare > now {
                return Step::Wait(Some(spare));
            }
            match self.gate.ask(now) {
                Permit::Now => {}
                Permit::At(moment) => return Step::Wait(Some(moment)),
                Permit::AfterProbe => return Step::Wait(None),
            }
            match self.start_next(first, among, now) {
                Some(action) => return Step::Do(action),
                None => self.gate.unused(),
            }
        }
        Step::Wait(None)
    }

    /// Whether more writes are owed than the budget has at hand.
    #[must_use]
    pub fn is_scarce(&self, now: MonotonicTime) -> bool {
        self.gate.enough_at(self.ready.len(), now) != Some(now)
    }

    /// Whether there is no room for more messages, whatever their number.
    pub fn crowded(&mut self, is_crowded: bool) {
        self.is_crowded = is_crowded;
    }

    /// How long locks hold, which bounds how long messages are gathered.
    pub fn locks_hold_for(&mut self, length: Duration) {
        self.gathering.locks_hold_for(length);
    }

    /// Which lane comes first, or until when to gather messages before any does: until the flood is over, or the
    /// budget is enough for all.
    fn turn(&mut self, among: Among, now: MonotonicTime) -> Step<First> {
        let enough = self.gate.enough_at(self.ready.count(among), now);
        let scarce = enough != Some(now);
        let gathering = self.gathering.until(scarce, self.is_full(), now);
        self.gate.pace().save_up(gathering.is_some(), now);
        let Some(end) = gathering else {
            // Behind an open breaker those that have waited longest may be the very ones that fail.
            let newest = scarce || self.gate.state(now) == State::BreakerOpen;
            return Step::Do(if newest { First::Newest } else { First::Longest });
        };
        if self.is_full() {
            return Step::Do(First::Newest);
        }
        if !scarce {
            return Step::Wait(Some(end));
        }
        // Changes of people do not wait for a flood of a bulk, nor either for one of replayed ones.
        let [live, bulk] = [Priority::Live, Priority::Bulk].map(|last| {
            let lanes = self.ready.up_to(last);
            self.gate.enough_at(lanes, now).filter(|_| lanes > 0)
        });
        if live == Some(now) || bulk == Some(now) {
            return Step::Do(First::Longest);
        }
        // By then the budget is enough, as it is saved up.
        let enough = self.gate.enough_at(self.ready.count(among), now);
        Step::Wait(earliest([Some(end), live, bulk, enough]))
    }

    /// The write of this user ended. `jitter` is drawn evenly from 0 to 1.
    ///
    /// Returns what becomes of its messages; those that are tried again stay here.
    pub fn finished(
        &mut self,
        user: UserId,
        result: Result<Success, Failure>,
        now: MonotonicTime,
        jitter: f64,
    ) -> Vec<(Work<T>, Outcome)> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.gate.replay_ended(user, result.as_ref().is_ok_and(|success| success.written));
        let settled = match result {
            Ok(success) => {
                let Success { written, superseded, unchanged, undecided, went_back, gave_way, near_limit } =
                    success;
                if let (Some(lane), Some(address)) = (self.users.get_mut(&user), &gave_way) {
                    lane.pending.gave_way(address);
                }
                let left_out: Vec<_> = superseded.iter().chain(&unchanged).cloned().collect();
                self.went_back += u64::from(went_back);
                if written {
                    self.gate.written(now);
                    self.accepted(user, &left_out);
                } else {
                    self.gate.spared(now);
                }
                let settled = self.landed(user, &superseded, &left_out, &undecided, now);
                if near_limit {
                    self.gate.near_limit(now);
                }
                settled
            }
            Err(failure) => self.failed(user, &failure, now, jitter),
        };
        self.held -= settled.len();
        settled
    }

    /// When to probe next, while a fault of the installation keeps everything closed.
    #[must_use]
    pub fn probe_due(&self) -> Option<MonotonicTime> {
        self.gate.probe_due()
    }

    /// A probe that was made outside of any lane ended.
    pub fn probed(&mut self, well: bool, now: MonotonicTime, jitter: f64) {
        if well {
            self.gate.begin_trial(now);
        } else {
            self.gate.pause(now, jitter);
        }
    }

    /// Takes out everything that is not under way, to be given back: at shutdown, and when intake pauses.
    pub fn release_waiting(&mut self) -> Vec<(Work<T>, Outcome)> {
        self.ready.clear();
        self.delayed.clear();
        let mut released = Vec::new();
        self.users.retain(|_, lane| {
            released.extend(lane.drain_waiting().map(|work| (work, Outcome::Released)));
            lane.is_flying()
        });
        for user in self.unverified.users() {
            self.forget(user);
            released
                .extend(self.unverified.take(user).into_iter().map(|(work, _)| (work, Outcome::Released)));
        }
        released.extend(self.parked.drain().map(|work| (work, Outcome::Released)));
        // In the order in which they came, and not in that of a table.
        released.sort_by_key(|(work, _)| (work.stamp.arrival, work.user));
        self.held -= released.len();
        released
    }

    /// Takes out what waits for this user under such a ticket: its lock is lost, so it will be delivered
    /// again and must not be applied twice. What is under way already is left to its end.
    pub fn withdraw(&mut self, user: UserId, is: impl Fn(&T) -> bool) -> Vec<Work<T>> {
        let mut withdrawn = self.unverified.withdraw(user, &is);
        if let Some(lane) = self.users.get_mut(&user) {
            withdrawn.extend(lane.withdraw(&is));
        }
        if !self.parked.is_empty() {
            withdrawn.extend(self.parked.withdraw(user, &is));
        }
        self.held -= withdrawn.len();
        withdrawn
    }

    fn wake(&mut self, now: MonotonicTime) {
        while let Some(&(moment, user)) = self.delayed.first() {
            if moment > now {
                return;
            }
            self.delayed.pop_first();
            self.queue(user);
        }
    }

    fn is_full(&self) -> bool {
        self.is_crowded || self.held >= self.limits.messages
    }

    fn pop(&mut self, first: First, among: Among) -> Option<UserId> {
        if first == First::Newest && among == Among::All && self.is_full() {
            let (ready, users) = (&self.ready, &self.users);
            let changes = |user| users.get(&user).map_or(0, Lane::waiting_len);
            let all = || ready.iter().map(|(user, urgency)| (user, urgency, changes(user)));
            if let Some(user) = self.crowd.next(all).filter(|user| self.ready.take(*user)) {
                return Some(user);
            }
        } else {
            self.crowd.clear();
        }
        self.ready.pop(first, among)
    }

    /// Starts the write of the lane whose turn it is; `None` if that lane had nothing left.
    fn start_next(&mut self, first: First, among: Among, now: MonotonicTime) -> Option<Action<T>> {
        let user = self.pop(first, among)?;
        // Its turn comes when the look has ended.
        if self.unverified.is_looking(user) {
            return None;
        }
        let lane = self.users.get_mut(&user)?;
        // All that waited in it can have been withdrawn.
        if lane.is_flying() || !lane.has_waiting() {
            self.drop_if_idle(user);
            return None;
        }
        let known = self.applied.get(user);
        let entries = lane.take_off(&known);
        if !entries.is_empty() {
            lane.tried_since.get_or_insert(now);
            lane.begun = self.evidence.begin(lane.properties());
            self.in_flight += 1;
            let (known, urgency, contacts) = (known.entries(), lane.flying_urgency(), lane.contacts());
            let write = UserWrite { user, entries, known, urgency, contacts };
            if urgency == Priority::Replayed {
                self.gate.replays(user);
            }
            return Some(Action::Write { write, changes: lane.flying_messages() });
        }
        self.gate.unused();
        let mut stale = lane.landed().into_iter().map(|work| (work, Outcome::Stale)).collect();
        self.rest(user);
        // What they are older than may yet turn out to be undone, and then they are needed.
        self.unverified.join(user, &mut stale);
        self.held -= stale.len();
        Some(Action::Settle(stale))
    }

    fn landed(
        &mut self,
        user: UserId,
        superseded: &[Property],
        left_out: &[Property],
        undecided: &[Property],
        now: MonotonicTime,
    ) -> Vec<(Work<T>, Outcome)> {
        let Some(lane) = self.users.get_mut(&user) else { return Vec::new() };
        let mut known = std::mem::take(&mut lane.pending);
        let mut landed = lane.landed();
        let went_back = landed.iter().any(|work| self.applied.went_back(user, work));
        self.went_back += u64::from(went_back);
        // Oldest first: if a crash cuts settling short, what is delivered again is the newer part.
        landed.sort_by_key(|work| work.stamp.order());
        let settled: Vec<_> = landed
            .into_iter()
            .map(|work| {
                let outcome = if known.holds(work.stamp, &work.patch, left_out) {
                    Outcome::Applied
                } else if known.holds(work.stamp, &work.patch, superseded) {
                    Outcome::Unchanged(SkipReason::AlreadyThere)
                } else {
                    Outcome::Stale
                };
                (work, outcome)
            })
            .collect();
        known.forget(undecided);
        self.applied.put(user, known);
        self.rest(user);
        // Also what was there already may be undone by a call that is still on its way.
        let written = settled.iter().any(|(_, outcome)| *outcome != Outcome::Stale);
        match self.looks_after(user, written, now) {
            Some(after) => {
                self.unverified.add(user, settled, now + after);
                Vec::new()
            }
            None => settled,
        }
    }

    fn queue(&mut self, user: UserId) {
        if let Some(lane) = self.users.get(&user) {
            self.ready.push_back(user, lane.urgency(), lane.newness());
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
            self.queue(user);
        } else {
            self.drop_if_idle(user);
        }
    }
}
