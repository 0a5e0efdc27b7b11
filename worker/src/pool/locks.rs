//! Renewal of locks, on a task of its own: never behind receiving, never behind Graph.
//!
//! A renewal is planned from the moment the lock was taken and from the length that the queue's locks have
//! ([`Queue::lock_length`]), both by the monotonic clock. No wall clock has a say in it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use servicebus::{Queue, RenewError};
use shared::ids::{IdMap, LockToken};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Tokens renewed in one request.
const BATCH: usize = 100;
/// A renewal that failed is tried again after this time.
const SOON: Duration = Duration::from_millis(500);
/// What is due within this part of a lock's length goes along with what is due now; it saves requests.
const ALONG: u32 = 10;
/// How often to see whether the length of locks has become known better, while any are held.
const LOOK: Duration = Duration::from_secs(1);
/// A change of the length by less than this part moves no renewal.
const NOTABLE: u32 = 10;

/// Keeps locks alive until told otherwise.
pub struct LockKeeper {
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

impl LockKeeper {
    /// Starts it. Locks found to be lost are told on the channel.
    pub fn start<Q: Queue>(queue: Arc<Q>) -> (Self, mpsc::UnboundedReceiver<LockToken>) {
        let plan = Arc::new(Plan::of(queue.lock_length()));
        // Unbounded, but never longer than the messages held.
        let (lost, lost_locks) = mpsc::unbounded_channel();
        let task = tokio::spawn(Renewal { queue, lost, plan: Arc::clone(&plan) }.run());
        (Self { plan, task }, lost_locks)
    }

    /// Keeps this lock, which was taken at that moment.
    pub fn hold(&self, lock: LockToken, since: Instant) {
        // Jittered, so that locks taken together are not renewed in one thundering request.
        self.plan.put(lock, Taken { since, share: rand::rng().random_range(SHARE) });
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

/// Which lock is renewed when. Most messages are settled before that, so taking one in and out wakes nobody.
struct Plan {
    state: Mutex<State>,
    /// A renewal is due before the task would wake up.
    earlier: Notify,
}

/// At which part of its length a lock is renewed.
const SHARE: std::ops::Range<f64> = 0.4..0.6;

/// A lock as it was taken or last extended.
#[derive(Clone, Copy)]
struct Taken {
    since: Instant,
    /// At which part of its length it is renewed.
    share: f64,
}

struct State {
    /// How long a lock holds.
    length: Duration,
    /// Locks by the time of their next renewal.
    due: BTreeSet<(Instant, LockToken)>,
    held: IdMap<LockToken, (Taken, Instant)>,
    /// When the task wakes up by itself.
    wakes: Option<Instant>,
}

impl State {
    fn forget(&mut self, lock: LockToken) {
        if let Some((_, at)) = self.held.remove(&lock) {
            self.due.remove(&(at, lock));
        }
    }

    fn put(&mut self, lock: LockToken, taken: Taken) -> Instant {
        let at = taken.since + self.length.mul_f64(taken.share);
        self.put_at(lock, taken, at);
        at
    }

    fn put_at(&mut self, lock: LockToken, taken: Taken, at: Instant) {
        self.forget(lock);
        self.held.insert(lock, (taken, at));
        self.due.insert((at, lock));
    }

    /// The lock was extended no earlier than at that moment. A released lock stays released, even if its renewal was
    /// under way.
    fn extended(&mut self, lock: LockToken, since: Instant) {
        if let Some((taken, _)) = self.held.get(&lock).copied() {
            self.put(lock, Taken { since, ..taken });
        }
    }

    /// Its renewal failed and is to be tried again then.
    fn postpone(&mut self, lock: LockToken, at: Instant) {
        if let Some((taken, _)) = self.held.get(&lock).copied() {
            self.put_at(lock, taken, at);
        }
    }

    /// Takes the length over, and plans everything anew if it differs notably from what was known.
    fn learn(&mut self, length: Duration) {
        if length.abs_diff(self.length) <= self.length / NOTABLE {
            return;
        }
        self.length = length;
        for (lock, (taken, _)) in std::mem::take(&mut self.held) {
            let at = taken.since + length.mul_f64(taken.share);
            self.held.insert(lock, (taken, at));
        }
        self.due = self.held.iter().map(|(lock, (_, at))| (*at, *lock)).collect();
    }
}

impl Plan {
    /// Nothing is held yet.
    fn of(length: Duration) -> Self {
        let (due, held) = (BTreeSet::new(), IdMap::default());
        Self { state: Mutex::new(State { length, due, held, wakes: None }), earlier: Notify::new() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, lock: LockToken, taken: Taken) {
        let earlier = self.with(|state| {
            let at = state.put(lock, taken);
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

    /// When there is something to do next, by the length that locks have as far as is known now; whoever asks sleeps
    /// until then.
    fn next(&self, length: Duration) -> Option<Instant> {
        self.with(|state| {
            state.learn(length);
            let look = Instant::now() + LOOK;
            state.wakes = state.due.first().map(|(at, _)| look.min(*at));
            state.wakes
        })
    }

    /// What is due now, and then also what will be soon.
    fn due(&self, now: Instant) -> Vec<LockToken> {
        self.with(|state| {
            if state.due.first().is_none_or(|(at, _)| *at > now) {
                return Vec::new();
            }
            let horizon = now + state.length / ALONG;
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
            // However short a lock may be, nothing is asked more often.
            let next = self.plan.next(self.queue.lock_length().max(SOON));
            tokio::select! {
                () = self.plan.earlier.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.renew().await,
            }
        }
    }

    async fn renew(&self) {
        let begun = Instant::now();
        let locks = self.plan.due(begun);
        if locks.is_empty() {
            return;
        }
        let answers = self.queue.renew(&locks).await;
        for (lock, answer) in locks.into_iter().zip(answers) {
            match answer {
                // Extended at some moment between request and answer.
                Ok(()) => self.plan.with(|state| state.extended(lock, begun)),
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
                    self.plan.with(|state| state.postpone(lock, Instant::now() + SOON));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;
    use servicebus::{Delivery, Error, Outgoing, Peek, Peeked};
    use shared::ids::SequenceNumber;
    use tokio::time::sleep;
    use uuid::Uuid;

    use super::*;

    /// A queue whose locks hold for a time that only it knows, and that tells what is known of it.
    struct Locks {
        truth: Duration,
        known: Mutex<Duration>,
        state: Mutex<Held>,
    }

    #[derive(Default)]
    struct Held {
        until: IdMap<LockToken, Instant>,
        requests: usize,
        /// Parts of their time after which locks were renewed.
        shares: Vec<f64>,
    }

    #[async_trait]
    impl Peek for Locks {
        async fn peek(&self, _: SequenceNumber, _: u32) -> Result<Vec<Peeked>, Error> {
            Ok(Vec::new())
        }
    }

    #[async_trait]
    impl Queue for Locks {
        async fn receive(&self) -> Result<Vec<Delivery>, Error> {
            Err(Error::Closed)
        }
        fn set_credit(&self, _: u32) {}
        async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>> {
            let (mut state, now) = (self.state.lock().expect("no panic under the lock"), Instant::now());
            state.requests += 1;
            let mut renew = |lock: &LockToken| {
                let until =
                    state.until.get_mut(lock).filter(|until| **until > now).ok_or(RenewError::LockLost)?;
                let left = until.saturating_duration_since(now);
                *until = now + self.truth;
                state.shares.push(1.0 - left.as_secs_f64() / self.truth.as_secs_f64());
                Ok(())
            };
            locks.iter().map(&mut renew).collect()
        }
        fn lock_length(&self) -> Duration {
            *self.known.lock().expect("no panic under the lock")
        }
        async fn send(&self, _: Outgoing) -> Result<(), Error> {
            Err(Error::Closed)
        }
        async fn schedule(&self, _: Outgoing, _: Timestamp) -> Result<(), Error> {
            Err(Error::Closed)
        }
        async fn close(&self) {}
    }

    /// Holds so many locks for five of their lengths, the length becoming known after `late`. Tells how many were lost,
    /// how many requests were made, and the parts of their time after which locks were renewed.
    async fn hold(locks: u128, truth: u64, guess: u64, late: u64) -> (usize, usize, Vec<f64>) {
        let truth = Duration::from_secs(truth);
        let known = Mutex::new(Duration::from_secs(guess));
        let queue = Arc::new(Locks { truth, known, state: Mutex::default() });
        let (keeper, mut lost) = LockKeeper::start(Arc::clone(&queue));
        for number in 0..locks {
            let (lock, now) = (LockToken(Uuid::from_u128(number)), Instant::now());
            queue.state.lock().expect("no panic under the lock").until.insert(lock, now + truth);
            keeper.hold(lock, now);
        }
        sleep(Duration::from_secs(late)).await;
        *queue.known.lock().expect("no panic under the lock") = truth;
        sleep(truth * 5).await;
        drop(keeper);
        let mut count = 0;
        while lost.try_recv().is_ok() {
            count += 1;
        }
        let state = std::mem::take(&mut *queue.state.lock().expect("no panic under the lock"));
        (count, state.requests, state.shares)
    }

    #[tokio::test(start_paused = true)]
    async fn locks_are_renewed_about_half_way_and_in_few_requests() {
        for length in [5, 30, 60, 300] {
            let (lost, requests, shares) = hold(500, length, length, 0).await;
            assert_eq!(lost, 0, "of {length} s");
            // What is nearly due goes along with what is due, and so may come a little early.
            let range = SHARE.start - 0.11..SHARE.end + 0.01;
            assert!(shares.iter().all(|share| range.contains(share)), "of {length} s: {shares:?}");
            // Each of the 500 about ten times, up to a hundred at once.
            assert!(requests <= 150, "of {length} s: {requests} requests");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_that_becomes_known_late_still_keeps_locks_that_were_taken_before() {
        for (truth, guess) in [(5, 300), (5, 60), (30, 300), (60, 5), (300, 5)] {
            let (lost, _, shares) = hold(100, truth, guess, 1).await;
            assert_eq!(lost, 0, "{truth} s taken for {guess} s");
            assert!(!shares.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_was_released_is_renewed_no_more() {
        let second = Duration::from_secs(1);
        let queue =
            Arc::new(Locks { truth: 5 * second, known: Mutex::new(5 * second), state: Mutex::default() });
        let (keeper, _lost) = LockKeeper::start(Arc::clone(&queue));
        let lock = LockToken(Uuid::from_u128(1));
        keeper.hold(lock, Instant::now());
        keeper.release(lock);
        sleep(10 * second).await;
        assert_eq!(queue.state.lock().expect("no panic under the lock").requests, 0);
    }
}
