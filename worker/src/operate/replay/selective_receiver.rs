//! Taking the wanted messages, and only those, out of a queue that hands out from the front.
//!
//! Service Bus has no selective receive. A message that is given back stands at the front again and is the next to
//! come, so what is not wanted has to be kept under lock until the last wanted one behind it has come. How many may
//! be kept is bounded; beyond that the set cannot be reached. Giving back untouched costs no delivery count.

use std::{
    collections::{BTreeSet, HashSet},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use servicebus::{Delivery, Error, Queue, Settlement, Unsettled, browse};
use shared::{
    engine::renewal::{Locks, Renewal},
    ids::{LockToken, SequenceNumber},
    monotonic_time::MonotonicTime,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::item::Item;
use crate::run::{epoch::Epoch, renewal::renew};

/// Most messages asked for at once.
const MOST: usize = 256;
/// How often to see whether the length of locks has become known better.
const LOOK: Duration = Duration::from_secs(1);

/// The messages of a set that have not come yet.
pub(crate) type Members = BTreeSet<SequenceNumber>;

/// What came.
pub(crate) enum Taken {
    /// Members of the set.
    Items(Vec<Item>),
    /// Locks are lost.
    Lost(Vec<LockToken>),
}

/// Receives the members of a set.
pub(crate) struct SelectiveReceiver<Q: ?Sized> {
    queue: Arc<Q>,
    members: Members,
    /// Members whose copy is in the queue already, because their lock was lost between copy and completion.
    copied: HashSet<SequenceNumber>,
    /// Every lock that is held, and with its number what was passed over; what was handed over is not here.
    locks: Locks<Option<(SequenceNumber, Unsettled)>>,
    renewals: JoinSet<Vec<(LockToken, Renewal)>>,
    window: usize,
    epoch: Epoch,
}

impl<Q: Queue + ?Sized> SelectiveReceiver<Q> {
    /// Receives these from a queue, keeping up to `window` others under lock on the way.
    pub(crate) fn new(queue: Arc<Q>, members: Members, window: usize) -> Self {
        let (locks, renewals) = (Locks::default(), JoinSet::new());
        Self { queue, members, copied: HashSet::new(), locks, renewals, window, epoch: Epoch::begin() }
    }

    /// How many others stand in the way, if no more may be kept.
    #[must_use]
    pub(crate) fn blocked(&self) -> Option<usize> {
        let passed = self.passed();
        (passed > self.window).then_some(passed)
    }

    /// Asks for as many messages as bring about `wanted` members.
    pub(crate) fn ask(&self, wanted: usize) {
        // One more than may be kept: it can be the one that is wanted.
        let room = (self.window + 1).saturating_sub(self.passed());
        let credit = if self.members.is_empty() { 0 } else { wanted.min(MOST).min(room) };
        self.queue.set_credit(u32::try_from(credit).unwrap_or(u32::MAX));
    }

    /// Waits for messages and hands over the members among them, or tells of a lock that was lost: what it kept
    /// comes again. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Taken, Error> {
        let queue = Arc::clone(&self.queue);
        tokio::select! {
            deliveries = queue.receive() => {
                let deliveries = deliveries?;
                Ok(Taken::Items(deliveries.into_iter().filter_map(|delivery| self.sort(delivery)).collect()))
            }
            lost = self.keep_locks() => Ok(Taken::Lost(lost)),
        }
    }

    /// Renews the locks that are held until some of them turn out to be lost; what was kept under these comes again.
    /// Safe to cancel, but locks are renewed only while this or [`SelectiveReceiver::next`] is waited for.
    pub(crate) async fn keep_locks(&mut self) -> Vec<LockToken> {
        loop {
            self.locks.learn(self.queue.lock_length());
            let due = self.locks.due(self.now());
            if !due.is_empty() {
                self.renewals.spawn(renew(Arc::clone(&self.queue), due));
            }
            let look = Instant::now() + LOOK;
            let next = self.locks.next_due().map_or(look, |next| look.min(self.epoch.instant(next)));
            tokio::select! {
                Some(answers) = self.renewals.join_next() => {
                    let lost = self.locks.renewed(answers.unwrap_or_default(), self.now());
                    if !lost.is_empty() {
                        for lock in &lost {
                            drop(self.locks.release(*lock));
                        }
                        return lost;
                    }
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Waits for something else while locks are renewed.
    pub(crate) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                // What is lost comes again, and is nobody's any more.
                _lost = self.keep_locks() => {}
            }
        }
    }

    fn now(&self) -> MonotonicTime {
        self.epoch.moment(Instant::now())
    }

    fn passed(&self) -> usize {
        self.locks.iter().filter(|(_, passed)| passed.is_some()).count()
    }

    fn sort(&mut self, delivery: Delivery) -> Option<Item> {
        let sequence = delivery.message.sequence;
        self.locks.hold(delivery.lock, self.epoch.moment(delivery.received), rand::random(), None);
        let (unsettled, message) = delivery.split();
        if self.members.remove(&sequence) {
            let copied = self.copied.contains(&sequence);
            return Some(Item { message, lock: Some(unsettled), copied });
        }
        self.put_aside(sequence, unsettled);
        None
    }

    /// Keeps a message under lock, to be given back in the end.
    pub(crate) fn put_aside(&mut self, sequence: SequenceNumber, unsettled: Unsettled) {
        let lock = unsettled.lock;
        match self.locks.get_mut(lock) {
            Some(place) => *place = Some((sequence, unsettled)),
            // It was lost meanwhile; the next renewal will show that again.
            None => self.locks.hold(lock, self.now(), rand::random(), Some((sequence, unsettled))),
        }
    }

    /// This one will come again; `copied` if its copy is in the queue already.
    pub(crate) fn comes_again(&mut self, sequence: SequenceNumber, copied: bool) {
        self.members.insert(sequence);
        if copied {
            self.copied.insert(sequence);
        }
        // It may have come already, before it was known that the earlier lock of it was of no use.
        let of_it = |passed: &Option<(SequenceNumber, Unsettled)>| {
            passed.as_ref().is_some_and(|(passed, _)| *passed == sequence)
        };
        let early = self.locks.iter().find(|(_, passed)| of_it(passed)).map(|(lock, _)| lock);
        if let Some((_, unsettled)) = early.and_then(|lock| self.locks.release(lock)).flatten() {
            tokio::spawn(async move { drop(unsettled.settle(Settlement::Release).await) });
        }
    }

    /// A lock need not be kept any more.
    pub(crate) fn settled(&mut self, lock: LockToken) {
        drop(self.locks.release(lock));
    }

    /// The members that have not come, and where to look for them.
    #[must_use]
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// The queue.
    #[must_use]
    pub(crate) fn queue(&self) -> &Arc<Q> {
        &self.queue
    }

    /// Keeps only those members that are still in the queue; returns how many are not.
    pub(crate) fn keep(&mut self, present: &Members) -> u64 {
        let before = self.members.len();
        self.members.retain(|member| present.contains(member));
        (before - self.members.len()) as u64
    }

    /// Gives back what was passed over.
    pub(crate) async fn give_back(&mut self) {
        self.queue.set_credit(0);
        let passed = self.locks.iter().filter(|(_, passed)| passed.is_some()).map(|(lock, _)| lock);
        for lock in passed.collect::<Vec<_>>() {
            if let Some((_, unsettled)) = self.locks.release(lock).flatten() {
                // What cannot be given back is given back by its lock when it lapses.
                drop(self.meanwhile(unsettled.settle(Settlement::Release)).await);
            }
        }
    }
}

/// Which of these are in a queue.
pub(super) async fn present<Q: Queue + ?Sized>(queue: Arc<Q>, members: Members) -> Result<Members, Error> {
    let (Some(first), Some(last)) = (members.first().copied(), members.last().copied()) else {
        return Ok(members);
    };
    let mut present = Members::new();
    let look = |peeked: servicebus::Peeked| {
        let sequence = peeked.message.sequence;
        if members.contains(&sequence) {
            present.insert(sequence);
        }
        if sequence >= last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    browse(&*queue, first, look).await?;
    Ok(present)
}
