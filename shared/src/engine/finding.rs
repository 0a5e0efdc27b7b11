//! Messages for which Graph is asked who is meant, before they have a lane. They are held under lock like all others.

use std::time::Duration;

use super::{
    Effect, Engine, SearchResult,
    held::{Held, Ticket},
    intake::{Intake, Planned},
    searches::{Circumstances, Search},
    writer::may_take,
};
use crate::{
    class::Class,
    gate::State,
    ids::{LockToken, SequenceNumber},
    lanes::{Failure, Work, exhausted},
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    plan::LinkQuery,
};

/// Messages whose questions are under way at once. A question costs nothing of the write quota, but two resource units.
const AT_ONCE: usize = 8;

impl<M> Engine<M> {
    /// A message for which Graph has to be asked first.
    pub(super) fn search(
        &mut self,
        lock: LockToken,
        held: Held<M>,
        queries: Vec<LinkQuery>,
        circumstances: Circumstances,
        now: MonotonicTime,
    ) {
        self.held.hold(lock, held);
        let search = Search { queries, circumstances, begun: now, due: Some(now), failures: 0 };
        self.searches.insert(lock, search);
        if self.stopping || self.state(now) == State::Paused {
            self.release_searches(now);
        }
    }

    /// The next question, or when there is one if nothing happens before.
    pub(super) fn next_search(&mut self, now: MonotonicTime) -> Result<Effect<M>, Option<MonotonicTime>> {
        if self.stopping || !may_take(self.role) || self.searches.under_way() >= AT_ONCE {
            return Err(None);
        }
        let Some((due, lock)) = self.searches.first() else { return Err(None) };
        let Some(opens) = self.lanes.gate().may_look_at(now) else { return Err(None) };
        if due.max(opens) > now {
            return Err(Some(due.max(opens)));
        }
        let Some(search) = self.searches.remove(lock) else { return Err(None) };
        let queries = search.queries.clone();
        self.searches.insert(lock, Search { due: None, ..search });
        Ok(Effect::Find { lock, queries })
    }

    /// The questions of a message are answered, and it was planned with the answers; or they could not be. `jitter` is
    /// drawn evenly from 0 to 1.
    pub fn found(&mut self, lock: LockToken, result: SearchResult, now: MonotonicTime, jitter: f64) {
        let search = self.searches.remove(lock);
        let origin = search
            .as_ref()
            .map_or_else(SequenceNumber::default, |search| search.circumstances.lineage.origin);
        match &result {
            Ok(_) => self.lanes.looked_well(now),
            Err(failure) => self.lanes.search_failed(origin, failure, now, jitter),
        }
        // Its lock may have been lost meanwhile.
        if let Some(mut search) = search {
            let result = result.map(|intake| self.screen(intake, &mut search.circumstances));
            match result {
                Ok(Intake::Work(planned, failures)) => {
                    let users = planned.iter().map(|write| write.user).collect();
                    self.held.replan(lock, users, failures);
                    self.take_up(lock, &search.circumstances, planned, now);
                }
                Ok(Intake::Settle(outcome)) => self.end_search(lock, outcome, now),
                Ok(Intake::Read(rows)) => self.read_instead(lock, search.circumstances, rows, now),
                // The next rule has a question of its own.
                Ok(Intake::LookUp(queries)) => {
                    self.searches.insert(lock, Search { queries, due: Some(now), ..search });
                }
                Err(failure) => match self.outcome_of(&mut search, failure, now, jitter) {
                    Some(outcome) => self.end_search(lock, outcome, now),
                    None => self.searches.insert(lock, search),
                },
            }
        }
        if self.stopping || self.state(now) == State::Paused {
            self.release_waiting(now);
        }
    }

    /// How a message ends whose questions failed, if they are not asked again.
    fn outcome_of(
        &self,
        search: &mut Search,
        failure: Failure,
        now: MonotonicTime,
        jitter: f64,
    ) -> Option<Outcome> {
        let retries = &self.policy.lanes.retries;
        let mut wait = || {
            search.failures += 1;
            retries.wait(search.failures.min(30), jitter).max(Duration::from_millis(1))
        };
        let letter = failure.dead_letter;
        match (failure.class, failure.grace) {
            (Class::Permanent, _) => return Some(Outcome::DeadLettered(letter)),
            // A user who may only be too new.
            (Class::Transient, Some(grace)) => {
                if now >= search.begun + grace || now >= search.circumstances.deadline {
                    return Some(Outcome::DeadLettered(letter));
                }
                search.due = Some((now + wait()).min(search.begun + grace));
            }
            (Class::Transient, None) => {
                let wait = wait();
                if retries.is_exhausted(search.failures) {
                    // While Graph is away for everybody, no message is to blame for its age.
                    let over = now >= search.circumstances.deadline && self.state(now) == State::Open;
                    let end = if over {
                        Outcome::DeadLettered(exhausted(&letter))
                    } else {
                        Outcome::Returned(letter)
                    };
                    return Some(end);
                }
                search.due = Some(now + wait);
            }
            // The gate says when.
            (Class::Throttled { .. } | Class::Installation, _) => search.due = Some(now),
        }
        None
    }

    /// Hands planned changes to the lanes.
    pub(super) fn take_up(
        &mut self,
        lock: LockToken,
        circumstances: &Circumstances,
        planned: Vec<Planned>,
        now: MonotonicTime,
    ) {
        let Circumstances { enqueued, lineage, urgency, deadline, .. } = *circumstances;
        for planned in planned {
            self.times_cut += u64::from(planned.is_from_the_future(enqueued));
            let stamp = planned.stamp(enqueued, lineage.origin);
            self.held.of_organization(lock, planned.organization);
            let Planned { user, contact, patch, member, .. } = planned;
            let (ticket, refused_before) = (Ticket { lock, member }, false);
            let work = Work { user, contact, stamp, patch, urgency, deadline, refused_before, ticket };
            self.lanes.push(work, now);
        }
    }

    /// Gives back a message that waits for an answer. One that does not is left alone.
    pub(super) fn withdraw_search(&mut self, lock: LockToken, outcome: &Outcome, now: MonotonicTime) {
        if self.searches.remove(lock).is_some() {
            self.end_search(lock, outcome.clone(), now);
        }
    }

    /// Gives back all messages that wait for an answer, in the order in which they came.
    pub(super) fn release_searches(&mut self, now: MonotonicTime) {
        for lock in self.searches.drain() {
            self.end_search(lock, Outcome::Released, now);
        }
    }

    pub(super) fn end_search(&mut self, lock: LockToken, outcome: Outcome, now: MonotonicTime) {
        if let Some(held) = self.held.take(lock) {
            let lineage = held.lineage();
            self.settle(lock, held.message, outcome, lineage, now);
        }
    }
}
