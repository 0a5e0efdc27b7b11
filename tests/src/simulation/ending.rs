//! Settlement of messages, and whether every promise was kept.

use std::{collections::HashSet, time::Duration};

use rand::RngExt;
use shared::{
    engine::Lineage, ids::LockToken, monotonic_time::MonotonicTime, outcome::Outcome,
    reason::DeadLetterReason,
};

use super::{
    directory::Writer,
    model::{self, Broken},
    queue::{Message, State},
    shape::{Guilt, Remedy, Report},
    world::{TROUBLE, World},
};

/// The usual limit of a queue; what is delivered more often is dead-lettered by the service.
const MAX_DELIVERIES: u32 = 10;

impl World {
    /// A settlement reaches the queue, unless it is lost or too late; then the message comes again.
    pub(super) fn settle(&mut self, writer: Writer, lock: LockToken, outcome: Outcome) -> Result<(), Broken> {
        let now = self.now;
        if let Some(replica) = self.alive(writer) {
            replica.settling -= 1;
            replica.tell(now, |engine, _| engine.settled(lock));
            self.turn_at(writer, now);
        }
        let lost = self.rng.random_bool(0.02) && now < MonotonicTime::after_start(TROUBLE);
        // What a replica had sent before it died may still arrive, or not.
        let dead = self.alive(writer).is_none() && self.rng.random_bool(0.5);
        // The copy is confirmed, and its original cannot be removed.
        let kept = self.rng.random_bool(0.2);
        let delay = Duration::from_millis(self.rng.random_range(1_000..60_000));
        let Some(message) = self.queue.locked(lock, now).filter(|_| !lost && !dead) else { return Ok(()) };
        let lineage = message.lineage();
        match outcome {
            Outcome::Copied => {
                message.state = State::Completed;
                self.gone_for_its_copy(writer, lineage);
            }
            Outcome::Applied | Outcome::Stale | Outcome::Unchanged(_) => {
                message.state = State::Completed;
            }
            Outcome::DeadLettered(letter) => message.state = State::Dead(letter.reason),
            Outcome::Released => message.state = State::Visible(now),
            Outcome::Returned(_) | Outcome::HeldAside(_) => {
                message.outlived = kept;
                if !kept {
                    message.state = State::Completed;
                }
                let original = message.clone();
                let held_aside = matches!(outcome, Outcome::HeldAside(_));
                if held_aside
                    && self.shape.most_alike.is_none_or(|most| most.get() >= self.shape.users.into())
                {
                    return Err(Broken::HeldFalsely(format!("{original:?}")));
                }
                self.report.held_aside += u64::from(held_aside);
                self.copy(writer, &original, now + delay, held_aside)?;
                if !kept {
                    self.gone_for_its_copy(writer, lineage);
                }
            }
        }
        Ok(())
    }

    /// A replica hears that the original of a copy is gone.
    fn gone_for_its_copy(&mut self, writer: Writer, lineage: Lineage) {
        let now = self.now;
        if let Some(replica) = self.alive(writer) {
            replica.tell(now, |engine, _| engine.removed(lineage));
        }
    }

    /// Posts the copy of a message, and tells the replica that it is there. What was held aside is let through when it comes.
    fn copy(
        &mut self,
        writer: Writer,
        original: &Message,
        at: MonotonicTime,
        held_aside: bool,
    ) -> Result<(), Broken> {
        if !(self.shape.detects && self.queue.holds_copy(original)) {
            let (changes, attempt) = (original.changes.clone(), original.attempt + 1);
            self.queue.post(changes, original.first_seen, attempt, Some(original.arrival), at);
            if held_aside || original.approved {
                self.queue.approve_last();
            }
        }
        let now = self.now;
        if self.shape.without != Some(Remedy::Memory)
            && let Some(replica) = self.alive(writer)
        {
            replica.tell(now, |engine, _| engine.copied(original.lineage()));
        }
        // The original and its copy, and while intake is paused and the original does not come again, one more; beside those that
        // could not be removed, of which a quick row of returns leaves several until their locks lapse. A replica
        // that cannot know of the copies of another, or of its own earlier life, may add one for each of the two. They do
        // not live on: whichever is copied first makes the others needless, or the world would never come to rest.
        let most = 3 + 2 * (self.lives as usize - 1);
        let alive = self.queue.alive(original.arrival);
        if alive > most {
            return Err(Broken::Multiplied(format!("{alive} stand for {original:?}")));
        }
        Ok(())
    }

    /// Whether every promise was kept.
    pub(super) fn check(mut self) -> Result<Report, Broken> {
        if let Some(message) = self.queue.open().next() {
            return Err(Broken::Stuck(format!("{message:?}")));
        }
        let is_guilty = |&change: &usize| model::is_guilty(self.changes[change].user, self.shape.guilty);
        let mut given_up = HashSet::new();
        for message in self.queue.messages() {
            // A message whose copy is there is only removed; the service may take that off us.
            if message.count >= MAX_DELIVERIES && message.state != State::Completed {
                return Err(Broken::DeliveriesSpent(format!("{message:?}")));
            }
            let State::Dead(reason) = message.state else { continue };
            let just = match reason {
                DeadLetterReason::GraphFailsForUser | DeadLetterReason::RetryBudgetExhausted => {
                    self.shape.guilt == Guilt::Fails && message.changes.iter().any(is_guilty)
                }
                _ => message.changes.iter().any(|change| self.changes[*change].poison || is_guilty(change)),
            };
            if !just {
                return Err(Broken::DeadLettered(format!("{reason} for {message:?}")));
            }
            given_up.extend(message.changes.iter().copied());
        }
        if let Some(lost) =
            (0..self.changes.len()).find(|change| is_guilty(change) && !given_up.contains(change))
        {
            return Err(Broken::Lost(lost));
        }
        let possible = self.changes.iter().filter(|change| !model::is_guilty(change.user, self.shape.guilty));
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
