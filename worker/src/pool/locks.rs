//! Renewal of locks, on a task of its own: never behind receiving, never behind Graph.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rand::RngExt;
use shared::ids::{IdMap, LockToken};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    bus::{Queue, RenewError},
    clock,
};

/// Tokens renewed in one request.
const BATCH: usize = 100;
/// Shortest and longest believable rest of a lock; a clock that is wrong must not make us sleep too long.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(5));

/// Keeps locks alive until told otherwise.
pub struct LockKeeper {
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

impl LockKeeper {
    /// Starts it. Locks found to be lost are told on the channel.
    pub fn start<Q: Queue>(queue: Arc<Q>) -> (Self, mpsc::UnboundedReceiver<LockToken>) {
        let plan = Arc::new(Plan::default());
        // Unbounded, but never longer than the messages held.
        let (lost, lost_locks) = mpsc::unbounded_channel();
        let task = tokio::spawn(Renewal { queue, lost, plan: Arc::clone(&plan) }.run());
        (Self { plan, task }, lost_locks)
    }

    /// Keeps this lock from now on.
    pub fn hold(&self, lock: LockToken, until: Timestamp, now: Instant, wall: Timestamp) {
        self.plan.put(lock, renewal_of(until, now, wall));
    }

    /// The message is being settled.
    pub fn release(&self, lock: LockToken) {
        self.plan.with(|state| state.forget(lock));
    }
}

impl Drop for LockKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// When to renew: at about half of what is left of the lock, jittered so that locks taken together are not
/// renewed in one thundering request.
fn renewal_of(until: Timestamp, now: Instant, wall: Timestamp) -> Instant {
    let rest = Duration::try_from(until.duration_since(wall)).unwrap_or_default();
    let share = rand::rng().random_range(0.4..0.6);
    now + rest.clamp(REST.0, REST.1).mul_f64(share)
}

/// Which lock is renewed when. Most messages are settled before that, so taking one in and out wakes nobody.
#[derive(Default)]
struct Plan {
    state: Mutex<State>,
    /// A renewal is due before the task would wake up.
    earlier: Notify,
}

#[derive(Default)]
struct State {
    /// Locks by the time of their next renewal.
    due: BTreeSet<(Instant, LockToken)>,
    held: IdMap<LockToken, Instant>,
    /// When the task wakes up by itself.
    wakes: Option<Instant>,
}

impl State {
    fn forget(&mut self, lock: LockToken) {
        if let Some(at) = self.held.remove(&lock) {
            self.due.remove(&(at, lock));
        }
    }

    fn put(&mut self, lock: LockToken, at: Instant) {
        self.forget(lock);
        self.held.insert(lock, at);
        self.due.insert((at, lock));
    }

    /// A released lock stays released, even if its renewal was under way.
    fn put_again(&mut self, lock: LockToken, at: Instant) {
        if self.held.contains_key(&lock) {
            self.put(lock, at);
        }
    }
}

impl Plan {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, lock: LockToken, at: Instant) {
        let earlier = self.with(|state| {
            state.put(lock, at);
            let earlier = state.wakes.is_none_or(|wakes| at < wakes);
            if earlier {
                state.wakes = Some(at);
            }
            earlier
        });
        if earlier {
            self.earlier.notify_one();
        }
    }

    /// When the next renewal is due; whoever asks sleeps until then.
    fn next(&self) -> Option<Instant> {
        self.with(|state| {
            state.wakes = state.due.first().map(|(at, _)| *at);
            state.wakes
        })
    }

    /// What is due by then.
    fn due_by(&self, horizon: Instant) -> Vec<LockToken> {
        self.with(|state| {
            let due = state.due.iter().take_while(|(at, _)| *at <= horizon);
            due.take(BATCH).map(|(_, lock)| *lock).collect()
        })
    }
}

struct Renewal<Q> {
    queue: Arc<Q>,
    lost: mpsc::UnboundedSender<LockToken>,
    plan: Arc<Plan>,
}

impl<Q: Queue> Renewal<Q> {
    async fn run(self) {
        loop {
            let next = self.plan.next();
            tokio::select! {
                () = self.plan.earlier.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.renew().await,
            }
        }
    }

    async fn renew(&self) {
        // What is due within the next moment goes along; it saves requests.
        let locks = self.plan.due_by(Instant::now() + REST.0);
        if locks.is_empty() {
            return;
        }
        let answers = self.queue.renew(&locks).await;
        let (now, wall) = (Instant::now(), clock::now());
        for (lock, answer) in locks.into_iter().zip(answers) {
            match answer {
                Ok(until) => self.plan.with(|state| state.put_again(lock, renewal_of(until, now, wall))),
                Err(RenewError::LockLost) => {
                    let held = self.plan.with(|state| {
                        let held = state.held.contains_key(&lock);
                        state.forget(lock);
                        held
                    });
                    // The pipeline has ended if nobody listens; then there is nothing to withdraw.
                    let _told = held && self.lost.send(lock).is_ok();
                }
                Err(RenewError::Failed(error)) => {
                    tracing::debug!(error = %shared::reason::chain(&error), "a lock could not be renewed yet");
                    self.plan.with(|state| state.put_again(lock, now + REST.0));
                }
            }
        }
    }
}
