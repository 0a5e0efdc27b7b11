//! What callers get to see of a stored message.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Message, Sequence, Time,
    store::{Entry, Hold},
};

/// A stored message with what the service knows about it.
#[derive(Clone, Debug)]
pub struct View {
    /// Its number in this store.
    pub sequence: Sequence,
    /// The number that it had where it was first accepted.
    pub first_sequence: Sequence,
    /// When it was accepted.
    pub enqueued: Time,
    /// Failed deliveries so far.
    pub delivery_count: u32,
    /// What it waits for.
    pub hold: Hold,
    /// Whether somebody holds its lock, of whatever kind.
    pub locked: bool,
    /// When its own lock lapses; none if it has none or the session's lock governs.
    pub locked_until: Option<Time>,
    /// When it expires.
    pub expires: Option<Time>,
    /// The entity on which it was dead-lettered before it was forwarded here.
    pub dead_letter_source: Option<String>,
    /// The message itself.
    pub message: Arc<Message>,
}

impl View {
    pub(super) fn of(sequence: Sequence, entry: &Entry) -> Self {
        Self {
            sequence,
            first_sequence: entry.first_sequence.unwrap_or(sequence),
            enqueued: entry.enqueued,
            delivery_count: entry.delivery_count,
            hold: entry.hold,
            locked: entry.lock.is_some(),
            locked_until: entry.lock.and_then(|lock| lock.until),
            expires: entry.expires,
            dead_letter_source: entry.dead_letter_source.clone(),
            message: Arc::clone(&entry.message),
        }
    }
}

/// A message that was handed out.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Names the delivery when it is settled or renewed. Meaningless where the message was removed at once.
    pub token: Uuid,
    /// The message and its state after being handed out.
    pub view: View,
}

/// How many messages a place holds, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not set aside and not scheduled, locked or not.
    pub active: usize,
    /// Of the active ones, those that nobody holds.
    pub ready: usize,
    /// Handed out and not yet settled, deferred ones included.
    pub locked: usize,
    /// Set aside.
    pub deferred: usize,
    /// Waiting for their time.
    pub scheduled: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}
