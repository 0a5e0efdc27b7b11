//! Settling without waiting: the ends of all settlements that were begun come back over one channel.

use shared::ids::LockToken;
use tokio::sync::mpsc;

/// Where the ends of settlements come out.
pub struct Confirmations {
    owed: mpsc::UnboundedSender<Confirmed>,
    // Unbounded, but never longer than the settlements under way.
    told: mpsc::UnboundedReceiver<Confirmed>,
}

/// How a settlement that was begun ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The lock of the message.
    pub lock: LockToken,
    /// Whether it was done; if not, nothing was done at all.
    pub(super) done: bool,
}

/// The word that is owed to whoever began a settlement. It is always given: dropped, it says that nothing was done.
#[must_use = "dropped, it says that nothing was done"]
pub struct Confirmation {
    lock: LockToken,
    owed: mpsc::UnboundedSender<Confirmed>,
    done: bool,
}

impl Default for Confirmations {
    fn default() -> Self {
        let (owed, told) = mpsc::unbounded_channel();
        Self { owed, told }
    }
}

impl Confirmations {
    pub(super) fn of(&self, lock: LockToken) -> Confirmation {
        Confirmation { lock, owed: self.owed.clone(), done: false }
    }

    /// Waits for the next end. Safe to cancel.
    pub async fn next(&mut self) -> Option<Confirmed> {
        self.told.recv().await
    }

    /// An end that has come already.
    pub fn try_next(&mut self) -> Option<Confirmed> {
        self.told.try_recv().ok()
    }
}

impl Confirmation {
    /// The settlement is done.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Confirmation {
    fn drop(&mut self) {
        // Whoever does not listen any more does not need to know.
        self.owed.send(Confirmed { lock: self.lock, done: self.done }).ok();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_settlement_that_was_begun_is_told_of_once() {
        let mut confirmations = Confirmations::default();
        let (one, two) = (LockToken(Uuid::from_u128(1)), LockToken(Uuid::from_u128(2)));
        let (done, dropped) = (confirmations.of(one), confirmations.of(two));
        assert_eq!(confirmations.try_next(), None);
        done.done();
        drop(dropped);
        assert_eq!(confirmations.try_next(), Some(Confirmed { lock: one, done: true }));
        assert_eq!(confirmations.try_next(), Some(Confirmed { lock: two, done: false }));
        assert_eq!(confirmations.try_next(), None);
    }
}
