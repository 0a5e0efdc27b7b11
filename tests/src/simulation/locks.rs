//! Renewal of locks: requests that come late, are lost, or find a lock gone.

use std::time::Duration;

use rand::RngExt;
use shared::{engine::renewal::Renewal, ids::LockToken, monotonic_time::MonotonicTime};

use super::{
    directory::Writer,
    event::Event,
    model::Broken,
    shape::Remedy,
    world::{TROUBLE, World},
};

/// The longest way of a request or an answer, in milliseconds. Two requests and an answer take less than what is left
/// of a lock when it is renewed.
const LONGEST_WAY: u64 = 2_000;
/// The usual one.
const WAY: u64 = 50;
/// So many renewals of a lock may fail, and it still does not lapse.
const FAILURES: u32 = 1;

impl World {
    /// A replica asks for locks to be renewed.
    pub(super) fn ask_to_renew(&mut self, writer: Writer, locks: Vec<LockToken>) {
        let at = self.way();
        self.plan(at, Event::Renew(writer, locks));
    }

    /// The request reaches the queue, or does not; and so does its answer.
    pub(super) fn renew(&mut self, writer: Writer, locks: Vec<LockToken>) {
        let now = self.now;
        let trouble = now < MonotonicTime::after_start(TROUBLE);
        let (asked, told) = (!self.fails(trouble, 0.05), !self.fails(trouble, 0.03));
        let mut answers = Vec::with_capacity(locks.len());
        for lock in locks {
            if self.fails(trouble, 0.01) {
                self.queue.forget(lock, now);
            }
            // What nobody renews, the replica is told to be renewed.
            let held = self.shape.without == Some(Remedy::Renewal) || (asked && self.queue.renew(lock, now));
            let answer = match (asked && told, held) {
                (false, _) => Renewal::Failed,
                (true, true) => Renewal::Renewed,
                (true, false) => Renewal::Lost,
            };
            answers.push((lock, answer));
        }
        let at = self.way();
        self.plan(at, Event::Renewed(writer, answers));
    }

    /// A replica hears how its renewals ended.
    pub(super) fn renewed(&mut self, writer: Writer, answers: Vec<(LockToken, Renewal)>) {
        let now = self.now;
        let Some(replica) = self.alive(writer) else { return };
        for (lock, answer) in &answers {
            match answer {
                Renewal::Renewed => {}
                Renewal::Lost => {
                    replica.locks.remove(lock);
                }
                Renewal::Failed => *replica.failed_renewals.entry(*lock).or_default() += 1,
            }
        }
        replica.tell(now, |engine, time| engine.renewed(answers, time));
        self.turn_at(writer, now);
    }

    /// No lock lapses in the hands of a replica that lives, unless its renewals failed again and again.
    pub(super) fn check_lapsed(&mut self) -> Result<(), Broken> {
        for lock in std::mem::take(&mut self.queue.lapsed) {
            let failed = |failures: Option<&u32>| failures.is_some_and(|failures| *failures > FAILURES);
            let mut alive = self.replicas.iter().flatten().filter(|replica| replica.inbox.is_none());
            if alive
                .any(|replica| replica.locks.contains(&lock) && !failed(replica.failed_renewals.get(&lock)))
            {
                return Err(Broken::LockLapsed(lock));
            }
        }
        Ok(())
    }

    fn way(&mut self) -> MonotonicTime {
        let longest = if self.rng.random_bool(0.1) { LONGEST_WAY } else { WAY };
        self.now + Duration::from_millis(self.rng.random_range(1..longest))
    }

    fn fails(&mut self, trouble: bool, jitter: f64) -> bool {
        self.rng.random_bool(jitter) && trouble
    }
}
