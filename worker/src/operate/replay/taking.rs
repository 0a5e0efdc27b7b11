//! Taking the wanted messages, and only those, out of a queue that hands out from the front.
//!
//! Service Bus has no selective receive. A message that is given back stands at the front again and is the next to
//! come, so what is not wanted has to be kept under lock until the last wanted one behind it has come. How many may
//! be kept is bounded; beyond that the set cannot be reached. Giving back untouched costs no delivery count.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use servicebus::{Delivery, Error, Queue, Settlement, Unsettled, browse};
use shared::ids::{LockToken, SequenceNumber};
use tokio::sync::mpsc;

use super::supply::Item;
use crate::pool::locks::LockKeeper;

/// Most messages asked for at once.
const MOST: usize = 256;

/// The messages of a set that have not come yet.
pub type Members = BTreeSet<SequenceNumber>;

/// What came.
pub enum Taken {
    /// Members of the set.
    Items(Vec<Item>),
    /// A lock is lost.
    Lost(LockToken),
}

/// Receives the members of a set.
pub struct Taking<Q> {
    queue: Arc<Q>,
    members: Members,
    /// Members whose copy is in the queue already, because their lock was lost between copy and completion.
    copied: HashSet<SequenceNumber>,
    /// What is kept under lock, with its number.
    passed: HashMap<LockToken, (SequenceNumber, Unsettled)>,
    window: usize,
    locks: LockKeeper,
    lost: mpsc::UnboundedReceiver<LockToken>,
}

impl<Q: Queue> Taking<Q> {
    /// Receives these from a queue, keeping up to `window` others under lock on the way.
    pub fn new(queue: Arc<Q>, members: Members, window: usize) -> Self {
        let (locks, lost) = LockKeeper::start(Arc::clone(&queue));
        Self { queue, members, copied: HashSet::new(), passed: HashMap::new(), window, locks, lost }
    }

    /// Members that have not come yet.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.members.len()
    }

    /// How many others stand in the way, if no more may be kept.
    #[must_use]
    pub fn blocked(&self) -> Option<usize> {
        (self.passed.len() > self.window).then_some(self.passed.len())
    }

    /// Asks for as many messages as bring about `wanted` members.
    pub fn ask(&self, wanted: usize) {
        // One more than may be kept: it can be the one that is wanted.
        let room = (self.window + 1).saturating_sub(self.passed.len());
        let credit = if self.members.is_empty() { 0 } else { wanted.min(MOST).min(room) };
        self.queue.set_credit(u32::try_from(credit).unwrap_or(u32::MAX));
    }

    /// Waits for messages and hands over the members among them, or tells of a lock that was lost: what it kept
    /// comes again. Safe to cancel.
    pub async fn next(&mut self) -> Result<Taken, Error> {
        tokio::select! {
            deliveries = self.queue.receive() => {
                let deliveries = deliveries?;
                Ok(Taken::Items(deliveries.into_iter().filter_map(|delivery| self.sort(delivery)).collect()))
            }
            Some(lock) = self.lost.recv() => {
                drop(self.passed.remove(&lock));
                Ok(Taken::Lost(lock))
            }
        }
    }

    fn sort(&mut self, delivery: Delivery) -> Option<Item> {
        let sequence = delivery.message.sequence;
        self.locks.hold(delivery.lock, delivery.received);
        let (unsettled, message) = delivery.split();
        if self.members.remove(&sequence) {
            let copied = self.copied.contains(&sequence);
            return Some(Item { message, lock: Some(unsettled), copied });
        }
        self.put_aside(sequence, unsettled);
        None
    }

    /// Keeps a message under lock, to be given back in the end.
    pub fn put_aside(&mut self, sequence: SequenceNumber, unsettled: Unsettled) {
        self.passed.insert(unsettled.lock, (sequence, unsettled));
    }

    /// This one will come again; `copied` if its copy is in the queue already.
    pub fn comes_again(&mut self, sequence: SequenceNumber, copied: bool) {
        self.members.insert(sequence);
        if copied {
            self.copied.insert(sequence);
        }
        // It may have come already, before it was known that the earlier lock of it was of no use.
        let early = self.passed.iter().find(|(_, (passed, _))| *passed == sequence).map(|(lock, _)| *lock);
        if let Some((lock, (_, unsettled))) = early.and_then(|lock| self.passed.remove_entry(&lock)) {
            self.locks.release(lock);
            tokio::spawn(async move { drop(unsettled.settle(Settlement::Release).await) });
        }
    }

    /// A lock need not be kept any more.
    pub fn settled(&self, lock: LockToken) {
        self.locks.release(lock);
    }

    /// The members that have not come, and where to look for them.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Arc<Q> {
        &self.queue
    }

    /// Keeps only those members that are still in the queue; returns how many are not.
    pub fn keep(&mut self, present: &Members) -> u64 {
        let before = self.members.len();
        self.members.retain(|member| present.contains(member));
        (before - self.members.len()) as u64
    }

    /// Gives back what was passed over.
    pub async fn give_back(&mut self) {
        self.queue.set_credit(0);
        for (lock, (_, unsettled)) in self.passed.drain() {
            self.locks.release(lock);
            // What cannot be given back is given back by its lock when it lapses.
            drop(unsettled.settle(Settlement::Release).await);
        }
    }
}

/// Which of these are in a queue.
pub(super) async fn present<Q: Queue>(queue: Arc<Q>, members: Members) -> Result<Members, Error> {
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
