//! Renewal and settlement of messages, and whether every promise was kept.

use std::{collections::HashSet, time::Duration};

use rand::RngExt;
use shared::{engine::Ending, ids::LockToken, moment::Moment, reason::DeadLetterReason};

use super::{
    directory::Writer,
    model::{self, Broken},
    queue::State,
    shape::Report,
    world::{Event, LOCK, TROUBLE, World},
};

/// The usual limit of a queue; what is delivered more often is dead-lettered by the service.
const MAX_DELIVERIES: u32 = 10;

impl World {
    pub(super) fn renew(&mut self, writer: Writer) {
        let now = self.now;
        let lost_request = self.rng.random_bool(0.05) && now < Moment::after_start(TROUBLE);
        let Some(replica) = self.alive(writer) else { return };
        let locks: Vec<_> = replica.locks.iter().copied().collect();
        for lock in locks {
            if !lost_request
                && !self.queue.renew(lock, now)
                && let Some(replica) = self.alive(writer)
            {
                replica.locks.remove(&lock);
                replica.engine.lock_lost(lock);
            }
        }
        self.turn_at(writer, now);
        self.plan(now + LOCK / 3, Event::Renew(writer));
    }

    /// A settlement reaches the queue, unless it is lost or too late; then the message comes again.
    pub(super) fn settle(&mut self, writer: Writer, lock: LockToken, ending: Ending) {
        let now = self.now;
        if let Some(replica) = self.alive(writer) {
            replica.settling -= 1;
            self.turn_at(writer, now);
        }
        let lost = self.rng.random_bool(0.02) && now < Moment::after_start(TROUBLE);
        // What a replica had sent before it died may still arrive, or not.
        let dead = self.alive(writer).is_none() && self.rng.random_bool(0.5);
        let crash_between = self.rng.random_bool(0.02);
        let delay = Duration::from_millis(self.rng.random_range(1_000..60_000));
        let Some(message) = self.queue.locked(lock, now).filter(|_| !lost && !dead) else { return };
        match ending {
            Ending::Applied | Ending::Stale | Ending::Unchanged(_) => message.state = State::Completed,
            Ending::DeadLettered(reason) => message.state = State::Dead(reason),
            Ending::Released | Ending::Unsettled => message.state = State::Visible(now),
            Ending::Returned => {
                if !crash_between {
                    message.state = State::Completed;
                }
                let (changes, first, arrival) =
                    (message.changes.clone(), message.first_seen, message.arrival);
                let attempt = message.attempt + 1;
                self.queue.post(changes, first, attempt, Some(arrival), now + delay);
            }
        }
    }

    /// Whether every promise was kept.
    pub(super) fn check(mut self) -> Result<Report, Broken> {
        if let Some(message) = self.queue.open().next() {
            return Err(Broken::Stuck(format!("{message:?}")));
        }
        let doomed = self.shape.doomed.then_some(model::DOOMED);
        let is_doomed = |&change: &usize| doomed == Some(self.changes[change].user);
        let mut given_up = HashSet::new();
        for message in &self.queue.messages {
            if message.count >= MAX_DELIVERIES {
                return Err(Broken::DeliveriesSpent(format!("{message:?}")));
            }
            let State::Dead(reason) = message.state else { continue };
            let just = match reason {
                DeadLetterReason::RetryBudgetExhausted => message.changes.iter().any(is_doomed),
                _ => message.changes.iter().any(|&change| self.changes[change].poison),
            };
            if !just {
                return Err(Broken::DeadLettered(format!("{reason} for {message:?}")));
            }
            given_up.extend(message.changes.iter().copied());
        }
        if let Some(lost) =
            (0..self.changes.len()).find(|change| is_doomed(change) && !given_up.contains(change))
        {
            return Err(Broken::Lost(lost));
        }
        let possible = self.changes.iter().enumerate().filter(|(_, change)| doomed != Some(change.user));
        for ((user, property), expected) in model::expected(possible) {
            let found = self.directory.values.get(&(user, property.clone())).cloned();
            if found.as_ref() != Some(&expected) {
                return Err(Broken::Value { user, property, expected, found });
            }
        }
        self.report.crossed = self.directory.crossed.len() as u64;
        Ok(self.report)
    }
}
