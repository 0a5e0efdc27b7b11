//! Renewal of locks, on a task of its own: never behind receiving, never behind Graph.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rand::RngExt;
use shared::ids::LockToken;
use tokio::{
    sync::mpsc,
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

enum Command {
    Hold(LockToken, Timestamp),
    Drop(LockToken),
}

/// Keeps locks alive until told otherwise.
pub struct LockKeeper {
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

impl LockKeeper {
    /// Starts it. Locks found to be lost are told on the channel.
    pub fn start<Q: Queue>(queue: Arc<Q>) -> (Self, mpsc::UnboundedReceiver<LockToken>) {
        // Unbounded, but never longer than the messages held: each is told of twice.
        let (commands, inbox) = mpsc::unbounded_channel();
        let (lost, lost_locks) = mpsc::unbounded_channel();
        let task =
            tokio::spawn(Renewal { queue, lost, due: BTreeSet::new(), held: HashMap::new() }.run(inbox));
        (Self { commands, task }, lost_locks)
    }

    /// Keeps this lock from now on.
    pub fn hold(&self, lock: LockToken, until: Timestamp) {
        self.tell(Command::Hold(lock, until));
    }

    /// The message is being settled.
    pub fn release(&self, lock: LockToken) {
        self.tell(Command::Drop(lock));
    }

    fn tell(&self, command: Command) {
        // It fails only when the task has ended with the runtime; then locks no longer matter.
        let _told = self.commands.send(command).is_ok();
    }
}

impl Drop for LockKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Renewal<Q> {
    queue: Arc<Q>,
    lost: mpsc::UnboundedSender<LockToken>,
    /// Locks by the time of their next renewal.
    due: BTreeSet<(Instant, LockToken)>,
    held: HashMap<LockToken, Instant>,
}

impl<Q: Queue> Renewal<Q> {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        loop {
            let next = self.due.first().map(|(at, _)| *at);
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Hold(lock, until)) => self.plan(lock, until),
                    Some(Command::Drop(lock)) => self.forget(lock),
                    None => return,
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.renew().await,
            }
        }
    }

    /// Plans the next renewal at about half of what is left of the lock, jittered so that locks taken
    /// together are not renewed in one thundering request.
    fn plan(&mut self, lock: LockToken, until: Timestamp) {
        let rest = Duration::try_from(until.duration_since(clock::now())).unwrap_or_default();
        let share = rand::rng().random_range(0.4..0.6);
        let at = Instant::now() + rest.clamp(REST.0, REST.1).mul_f64(share);
        self.forget(lock);
        self.held.insert(lock, at);
        self.due.insert((at, lock));
    }

    fn forget(&mut self, lock: LockToken) {
        if let Some(at) = self.held.remove(&lock) {
            self.due.remove(&(at, lock));
        }
    }

    async fn renew(&mut self) {
        // What is due within the next moment goes along; it saves requests.
        let horizon = Instant::now() + REST.0;
        let locks: Vec<_> =
            self.due.iter().take_while(|(at, _)| *at <= horizon).take(BATCH).map(|(_, lock)| *lock).collect();
        let answers = self.queue.renew(&locks).await;
        for (lock, answer) in locks.into_iter().zip(answers) {
            match answer {
                Ok(until) => self.plan(lock, until),
                Err(RenewError::LockLost) => {
                    self.forget(lock);
                    // The pipeline has ended if nobody listens; then there is nothing to withdraw.
                    let _told = self.lost.send(lock).is_ok();
                }
                Err(RenewError::Failed(error)) => {
                    tracing::debug!(error = %shared::reason::chain(&error), "a lock could not be renewed yet");
                    self.again_soon(lock);
                }
            }
        }
    }

    fn again_soon(&mut self, lock: LockToken) {
        self.forget(lock);
        let at = Instant::now() + REST.0;
        self.held.insert(lock, at);
        self.due.insert((at, lock));
    }
}
