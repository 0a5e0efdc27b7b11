//! A queue with peek-lock, at-least-once and no promise of order.

use std::time::Duration;

use rand::{Rng, RngExt};
use shared::{
    engine::Lineage,
    ids::{LockToken, SequenceNumber},
    monotonic_time::MonotonicTime,
    reason::DeadLetterReason,
};

/// A message in the queue.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Which changes it carries.
    pub(super) changes: Box<[usize]>,
    /// When its original was posted.
    pub(super) first_seen: MonotonicTime,
    /// Place of its original.
    pub(super) arrival: SequenceNumber,
    /// How often it came back.
    pub(super) attempt: u32,
    /// Whether somebody has let it through.
    pub(super) approved: bool,
    /// Its delivery count: how often its lock lapsed.
    pub(super) count: u32,
    /// Whether its copy is there and it could not be removed: until its lock lapses nobody can, and then it is asked for again.
    pub(super) outlived: bool,
    pub(super) state: State,
}

impl Message {
    pub(super) fn lineage(&self) -> Lineage {
        let generation = u32::from(self.approved);
        Lineage { origin: self.arrival, generation, attempt: self.attempt, content: 0 }
    }
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waiting from this time on.
    Visible(MonotonicTime),
    /// Held under this lock until then.
    Locked(LockToken, MonotonicTime),
    /// Gone, as it should be.
    Completed,
    /// In the dead-letter queue.
    Dead(DeadLetterReason),
}

impl State {
    /// Whether it is handed out no more.
    fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Dead(_))
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    messages: Vec<Message>,
    /// Places of those that may still be handed out, in order. What is settled leaves when the queue is asked next: worlds ask
    /// far more often than messages come.
    unsettled: Vec<usize>,
    lock: Duration,
    /// Locks that have lapsed since this was last looked at.
    pub(super) lapsed: Vec<LockToken>,
}

impl Queue {
    /// An empty one whose locks hold for so long.
    pub(super) fn new(lock: Duration) -> Self {
        Self { messages: Vec::new(), unsettled: Vec::new(), lock, lapsed: Vec::new() }
    }

    /// All messages that there ever were.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How many messages stand for this original, without those that only wait for the end of a lock to be removed.
    pub(super) fn alive(&self, origin: SequenceNumber) -> usize {
        self.open().filter(|message| message.arrival == origin && !message.outlived).count()
    }

    /// Whether a copy like this was sent before.
    pub(super) fn holds_copy(&self, of: &Message) -> bool {
        let same = |message: &Message| {
            message.arrival == of.arrival
                && message.attempt == of.attempt + 1
                && message.approved == of.approved
        };
        self.messages.iter().any(same)
    }

    /// Adds a message that becomes visible then.
    pub(super) fn post(
        &mut self,
        changes: Box<[usize]>,
        first_seen: MonotonicTime,
        attempt: u32,
        arrival: Option<SequenceNumber>,
        at: MonotonicTime,
    ) {
        let own = SequenceNumber(i64::try_from(self.messages.len()).unwrap_or(i64::MAX));
        let arrival = arrival.unwrap_or(own);
        self.unsettled.push(self.messages.len());
        self.messages.push(Message {
            changes,
            first_seen,
            arrival,
            attempt,
            approved: false,
            count: 0,
            outlived: false,
            state: State::Visible(at),
        });
    }

    /// Somebody lets the message through that was posted last.
    pub(super) fn approve_last(&mut self) {
        if let Some(message) = self.messages.last_mut() {
            message.approved = true;
        }
    }

    /// Hands out up to `count` messages under lock, mostly in order.
    pub(super) fn receive(
        &mut self,
        count: usize,
        now: MonotonicTime,
        rng: &mut impl Rng,
    ) -> Vec<(usize, LockToken)> {
        let lapsed = |state: State| match state {
            State::Visible(at) => at <= now,
            State::Locked(_, until) => until <= now,
            State::Completed | State::Dead(_) => false,
        };
        let messages = &self.messages;
        self.unsettled.retain(|&index| !messages[index].state.is_settled());
        let lapsed_ones = self.unsettled.iter().copied().filter(|&index| lapsed(messages[index].state));
        let mut ready: Vec<usize> = lapsed_ones.collect();
        if ready.len() > 1 && rng.random_bool(0.2) {
            let other = rng.random_range(0..ready.len());
            ready.swap(0, other);
        }
        ready.truncate(count);
        let mut taken = Vec::with_capacity(ready.len());
        for index in ready {
            let lock = LockToken(uuid::Builder::from_random_bytes(rng.random()).into_uuid());
            let message = &mut self.messages[index];
            if let State::Locked(lapsed, _) = message.state {
                message.count += 1;
                self.lapsed.push(lapsed);
            }
            message.outlived = false;
            message.state = State::Locked(lock, now + self.lock);
            taken.push((index, lock));
        }
        taken
    }

    /// The message under this lock, if it still holds.
    pub(super) fn locked(&mut self, lock: LockToken, now: MonotonicTime) -> Option<&mut Message> {
        let held = |message: &Message| matches!(message.state, State::Locked(held, until) if held == lock && until > now);
        let index = self.unsettled.iter().copied().find(|&index| held(&self.messages[index]))?;
        self.messages.get_mut(index)
    }

    /// Extends a lock; false if it is lost.
    pub(super) fn renew(&mut self, lock: LockToken, now: MonotonicTime) -> bool {
        let until = now + self.lock;
        let Some(message) = self.locked(lock, now) else { return false };
        message.state = State::Locked(lock, until);
        true
    }

    /// Forgets a lock, as a service does that moves the queue elsewhere.
    pub(super) fn forget(&mut self, lock: LockToken, now: MonotonicTime) {
        if let Some(message) = self.locked(lock, now) {
            message.count += 1;
            message.state = State::Visible(now);
        }
    }

    /// Messages that are neither completed nor dead.
    pub(super) fn open(&self) -> impl Iterator<Item = &Message> {
        let unsettled = self.unsettled.iter().map(|&index| &self.messages[index]);
        unsettled.filter(|message| !message.state.is_settled())
    }
}
