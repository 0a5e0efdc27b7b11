//! Settling without awaiting: results of started settlements arrive over one channel.

use shared::ids::LockToken;
use tokio::sync::mpsc;

/// Receives the results of started settlements.
pub struct Confirmations {
    owed: mpsc::UnboundedSender<Confirmed>,
    // Unbounded, but never longer than the settlements under way.
    told: mpsc::UnboundedReceiver<Confirmed>,
}

/// The result of a started settlement.
#[derive(Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The lock that the message was held under.
    pub lock: LockToken,
    /// True if the message is settled; false if nothing was sent to the service.
    pub(super) done: bool,
}

/// Reports the result of a started settlement exactly once. Dropping it reports "not settled".
#[must_use = "dropping it reports that the settlement was not made"]
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

    /// Waits for the next result. Cancel-safe.
    pub async fn next(&mut self) -> Option<Confirmed> {
        self.told.recv().await
    }

    /// The next result, if one is there already.
    pub fn try_next(&mut self) -> Option<Confirmed> {
        self.told.try_recv().ok()
    }
}

impl Confirmation {
    /// Reports success.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Confirmation {
    fn drop(&mut self) {
        // The receiver may be gone, and then nobody needs the result.
        self.owed.send(Confirmed { lock: self.lock, done: self.done }).ok();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_started_settlement_reports_its_result_once() {
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
