//! A locked message and its one settlement.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use async_trait::async_trait;
use shared::ids::LockToken;
use tokio::time::Instant;

use super::{
    confirm::{Confirmation, Confirmations, Confirmed},
    error::Error,
    message::Message,
};

/// How a message is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Removes the message from the queue: its work is done, or there is none.
    Complete,
    /// Removes the message and waits until the service confirms it. For a message that a copy replaces: if the removal
    /// were lost, there would be two.
    Remove,
    /// Returns the message to the queue for another attempt; its delivery count rises.
    Abandon,
    /// Moves the message to the dead-letter queue.
    DeadLetter(DeadLettering),
    /// Returns the message without raising its delivery count. For messages that were not worked on.
    Release,
}

impl Settlement {
    /// A short name for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Complete | Self::Remove => "complete",
            Self::Abandon => "abandon",
            Self::DeadLetter(_) => "dead_letter",
            Self::Release => "release",
        }
    }
}

/// Why a message becomes a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLettering {
    /// `DeadLetterReason`: one word that groups dead letters.
    pub reason: Box<str>,
    /// `DeadLetterErrorDescription`: what happened.
    pub description: Box<str>,
    /// Application properties that are set on the message beside these two, such as an error code.
    pub properties: Vec<(&'static str, Box<str>)>,
}

/// Proof that a delivery was settled.
///
/// For a completion this means that the disposition was sent on an attached link while the lock was held; there is no
/// round trip for each message. If the connection breaks before the service reads it, the message is delivered again,
/// so its effect must be idempotent. A dead letter and a removal are confirmed by the service.
#[derive(Debug)]
pub struct Settled(());

/// Why a settlement failed. The message is not lost: it is delivered again, unless it was settled before.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The lock expired, or the message was settled already. A retry cannot succeed.
    #[error("the lock of the message was lost")]
    LockLost,
    /// The service was unreachable, or refused, until the lock expired.
    #[error("the settlement could not be delivered")]
    Failed(#[source] Error),
}

/// Sends settlements to the service. Implemented by the client and by fakes in tests.
#[async_trait]
pub trait Settle: Send + Sync + 'static {
    /// Settles the message held under `lock`. Retries transient failures until the lock expires.
    async fn settle(&self, lock: LockToken, settlement: Settlement) -> Result<(), SettleError>;

    /// Starts the settlement if that needs no await, and reports the result through `confirmation`. An implementation
    /// that cannot do so drops `confirmation`; the caller then falls back to [`Settle::settle`].
    fn begin(&self, lock: LockToken, settlement: &Settlement, confirmation: Confirmation) {
        let _cannot = (lock, settlement, confirmation);
    }

    /// Called when a delivery is dropped without a settlement. Its lock expires by itself.
    fn dropped(&self, lock: LockToken);
}

/// A message whose lock this process holds. Settling takes it by value and it is neither [`Clone`] nor [`Copy`], so the
/// compiler refuses a second settlement.
///
/// ```compile_fail,E0382
/// async fn twice(delivery: servicebus::Delivery) {
///     use servicebus::Settlement;
///     let _ = delivery.settle(Settlement::Complete).await;
///     let _ = delivery.settle(Settlement::Abandon).await;
/// }
/// ```
///
/// Settling once is fine:
///
/// ```
/// async fn once(delivery: servicebus::Delivery) {
///     use servicebus::Settlement;
///     let _ = delivery.settle(Settlement::Complete).await;
/// }
/// ```
///
/// Dropping it without a settlement is counted by the [`Settle`]. The lock then expires, and the message is delivered
/// again with a raised delivery count.
#[must_use = "a delivery that is dropped unsettled stays locked until its lock expires"]
pub struct Delivery {
    /// The message. It may be taken out with `std::mem::take`: settling needs only the lock.
    pub message: Message,
    /// The token of the lock.
    pub lock: LockToken,
    /// When the message and its lock arrived. How long a lock lasts is a property of the queue ([`Queue::lock_length`]).
    ///
    /// [`Queue::lock_length`]: super::Queue::lock_length
    pub received: Instant,
    settler: Option<Arc<dyn Settle>>,
}

impl Delivery {
    /// Joins a message, its lock and the settler that will settle it.
    pub fn new(message: Message, lock: LockToken, received: Instant, settler: Arc<dyn Settle>) -> Self {
        Self { message, lock, received, settler: Some(settler) }
    }

    /// Settles the message. Retries inside, because afterwards the caller holds nothing to retry with.
    pub async fn settle(self, settlement: Settlement) -> Result<Settled, SettleError> {
        let (unsettled, _) = self.split();
        unsettled.settle(settlement).await
    }

    /// Gives up the duty to settle. The caller returns the message in another way.
    pub(super) fn disarm(mut self) -> LockToken {
        self.settler = None;
        self.lock
    }

    /// Splits the message from the duty to settle it, for work that consumes the message.
    pub fn split(mut self) -> (Unsettled, Message) {
        let unsettled = Unsettled { lock: self.lock, settler: self.settler.take() };
        (unsettled, std::mem::take(&mut self.message))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settler) = self.settler.take() {
            settler.dropped(self.lock);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the body: it holds values of contacts.
        f.debug_struct("Delivery")
            .field("sequence", &self.message.sequence)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

/// A [`Delivery`] without its message: the duty to settle once.
#[must_use = "a delivery that is dropped unsettled stays locked until its lock expires"]
pub struct Unsettled {
    /// The token of the lock.
    pub lock: LockToken,
    settler: Option<Arc<dyn Settle>>,
}

impl Unsettled {
    /// Settles the message. Retries inside, because afterwards the caller holds nothing to retry with.
    ///
    /// If the returned future is dropped early, the settlement may or may not have been made, and the delivery counts as
    /// dropped.
    pub async fn settle(mut self, settlement: Settlement) -> Result<Settled, SettleError> {
        let Some(settler) = self.settler.as_ref().map(Arc::clone) else {
            // Only `settle` and `drop` empty the field, and both consume the value.
            return Err(SettleError::LockLost);
        };
        let outcome = settler.settle(self.lock, settlement).await;
        self.settler = None;
        outcome.map(|()| Settled(()))
    }

    /// Starts the settlement without awaiting it. The result arrives through `confirmations`.
    pub fn begin(self, settlement: &Settlement, confirmations: &Confirmations) -> Settling {
        let confirmation = confirmations.of(self.lock);
        if let Some(settler) = &self.settler {
            // A panic drops the confirmation, which reports "not settled" like any other failure.
            let begin = || settler.begin(self.lock, settlement, confirmation);
            let _told = catch_unwind(AssertUnwindSafe(begin));
        }
        Settling(self)
    }
}

/// A delivery whose settlement was started. If it is dropped before the result is known, it counts as dropped.
#[must_use = "the settlement may still have to be made"]
#[derive(Debug)]
pub struct Settling(Unsettled);

impl Settling {
    /// Takes the result: the message is settled, or the duty to settle it comes back.
    pub fn ended(mut self, confirmed: &Confirmed) -> Result<Settled, Unsettled> {
        if confirmed.done && confirmed.lock == self.0.lock {
            self.0.settler = None;
            return Ok(Settled(()));
        }
        Err(self.0)
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(settler) = self.settler.take() {
            settler.dropped(self.lock);
        }
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("lock", &self.lock).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Record(Mutex<Vec<String>>);

    #[async_trait]
    impl Settle for Record {
        async fn settle(&self, _: LockToken, settlement: Settlement) -> Result<(), SettleError> {
            self.0.lock().expect("no panic under the lock").push(settlement.as_str().into());
            match settlement {
                Settlement::Abandon => Err(SettleError::LockLost),
                _ => Ok(()),
            }
        }

        fn begin(&self, _: LockToken, settlement: &Settlement, confirmation: Confirmation) {
            assert_ne!(*settlement, Settlement::Abandon, "this one panics");
            if *settlement == Settlement::Complete {
                self.0.lock().expect("no panic under the lock").push("begun complete".into());
                confirmation.done();
            }
        }

        fn dropped(&self, _: LockToken) {
            self.0.lock().expect("no panic under the lock").push("dropped".into());
        }
    }

    fn begin(record: &Arc<Record>, settlement: &Settlement) -> Result<Settled, Unsettled> {
        let mut confirmations = Confirmations::default();
        let settling = delivery(record).split().0.begin(settlement, &confirmations);
        settling.ended(&confirmations.try_next().expect("it is always told"))
    }

    fn delivery(record: &Arc<Record>) -> Delivery {
        let lock = LockToken(uuid::Uuid::from_u128(1));
        Delivery::new(Message::default(), lock, Instant::now(), Arc::clone(record) as Arc<dyn Settle>)
    }

    #[tokio::test]
    async fn a_settled_delivery_is_not_counted_as_dropped() {
        let record = Arc::new(Record::default());
        delivery(&record).settle(Settlement::Complete).await.expect("settles");
        let (unsettled, _) = delivery(&record).split();
        unsettled.settle(Settlement::Release).await.expect("settles");
        assert_eq!(*record.0.lock().expect("lock"), ["complete", "release"]);
    }

    #[tokio::test]
    async fn a_failed_settlement_is_not_counted_as_dropped_either() {
        let record = Arc::new(Record::default());
        let error = delivery(&record).settle(Settlement::Abandon).await.expect_err("the lock is lost");
        assert!(matches!(error, SettleError::LockLost));
        assert_eq!(*record.0.lock().expect("lock"), ["abandon"]);
    }

    #[tokio::test]
    async fn a_settlement_that_could_not_be_begun_leaves_the_duty_to_settle() {
        let record = Arc::new(Record::default());
        begin(&record, &Settlement::Complete).expect("can be begun");
        let cannot = begin(&record, &Settlement::Release).expect_err("is not done that way");
        let panicked = begin(&record, &Settlement::Abandon).expect_err("panics");
        cannot.settle(Settlement::Release).await.expect("settles");
        drop(panicked);
        assert_eq!(*record.0.lock().expect("lock"), ["begun complete", "release", "dropped"]);
    }

    #[test]
    fn a_settlement_of_which_nobody_learns_counts_as_dropped() {
        let record = Arc::new(Record::default());
        let confirmations = Confirmations::default();
        drop(delivery(&record).split().0.begin(&Settlement::Complete, &confirmations));
        assert_eq!(*record.0.lock().expect("lock"), ["begun complete", "dropped"]);
    }

    #[test]
    fn dropping_a_delivery_or_its_rest_counts_once() {
        let record = Arc::new(Record::default());
        drop(delivery(&record));
        let (unsettled, message) = delivery(&record).split();
        drop(message);
        drop(unsettled);
        assert_eq!(*record.0.lock().expect("lock"), ["dropped", "dropped"]);
    }
}
