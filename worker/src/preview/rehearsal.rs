//! What `run` would do, without doing it: messages are looked at and never taken, so that no lock, no delivery count
//! and no settlement is touched, and a rehearsal can run beside production.

use std::sync::Arc;

use jiff::Timestamp;
use servicebus::{Error, Peek, Peeked, PeekedState};
use shared::{engine::Intake, ids::SequenceNumber, plan::Planner};

use super::judge;

/// Most messages in one look.
const MOST: u32 = 100;

/// A message and what `run` would do with it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its number in the queue.
    pub sequence: SequenceNumber,
    /// When the queue took it in.
    pub enqueued: Option<Timestamp>,
    /// Whether it waits for a consumer or for something else.
    pub state: PeekedState,
    /// What it asks for.
    pub intake: Intake,
}

/// Walks through a queue from its oldest message on, each message once.
pub struct Rehearsal<Q> {
    queue: Arc<Q>,
    planner: Planner,
    next: SequenceNumber,
}

impl<Q: Peek> Rehearsal<Q> {
    /// A walk that has not begun yet.
    pub fn new(queue: Arc<Q>, planner: Planner) -> Self {
        Self { queue, planner, next: SequenceNumber(0) }
    }

    /// Some of the messages that were not seen yet; none if there are no more for now.
    pub async fn look(&mut self) -> Result<Vec<Seen>, Error> {
        let peeked = self.queue.peek(self.next, MOST).await?;
        let seen: Vec<_> = peeked.into_iter().map(|peeked| self.seen(peeked)).collect();
        if let Some(highest) = seen.iter().map(|seen| seen.sequence.0).max() {
            self.next = SequenceNumber(self.next.0.max(highest.saturating_add(1)));
        }
        Ok(seen)
    }

    fn seen(&self, peeked: Peeked) -> Seen {
        let Peeked { message, state, .. } = peeked;
        let intake = judge::intake(&message, &self.planner);
        Seen { sequence: message.sequence, enqueued: message.enqueued, state, intake }
    }
}
