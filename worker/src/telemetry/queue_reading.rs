//! What is known of the queue as a whole, handed over by whoever reads it.

use std::time::Duration;

use super::labels::QueueState;

/// Counts of the queue, as they were read. What a reading could not tell is `None`, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReading {
    /// Messages that wait or are under lock.
    pub active: Option<u64>,
    /// Messages in the dead-letter queue.
    pub dead_letters: Option<u64>,
    /// Messages that become visible later.
    pub scheduled: Option<u64>,
    /// Messages on the way to another entity.
    pub transfer: Option<u64>,
    /// Bytes.
    pub size: Option<u64>,
    /// Age of the oldest message that waits; zero if none does.
    pub oldest_age: Option<Duration>,
    /// Whether only a bounded number of messages was looked at, so that there may be more.
    pub lower_bound: bool,
}

impl QueueReading {
    /// The count of messages in this state.
    #[must_use]
    pub fn count(&self, state: QueueState) -> Option<u64> {
        match state {
            QueueState::Active => self.active,
            QueueState::DeadLetter => self.dead_letters,
            QueueState::Scheduled => self.scheduled,
            QueueState::Transfer => self.transfer,
        }
    }
}
