//! A message under lock, and the one settlement it gets.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use shared::ids::LockToken;
use tokio::time::Instant;

use super::confirm::{Confirmation, Confirmations, Confirmed};
use super::error::Error;
use super::message::Message;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Its work is done, or it needs none: take it out of the queue.
    Complete,
    /// The same, confirmed by the service: a copy takes the place of the message, and together with it would be two.
    Remove,
    /// Give it back for another attempt; its delivery count rises.
    Abandon,
    /// Move it to the dead-letter queue.
    DeadLetter(DeadLettering),
    /// Give it back untouched; its delivery count stays. For messages that were never worked on.
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
/// A completion is proven as far as it can be without a round trip for each message: the disposition was put on
/// a live link under a lock that had not lapsed. Should it be lost with the connection, the message comes again,
/// which is harmless because effects are idempotent. A dead letter is always confirmed by the service.
#[derive(Debug)]
pub struct Settled(());

/// Why a settlement did not reach the message. In both cases the message is not lost: it will come again, unless
/// it was settled before.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The lock had lapsed, or the message was settled already. Count it; do not retry.
    #[error("the lock of the message was lost")]
    LockLost,
    /// The service could not be reached, or refused for another reason, until the lock lapsed.
    #[error("the settlement could not be delivered")]
    Failed(#[source] Error),
}

/// What carries a settlement to the service. Implemented by the client and by fakes.
#[async_trait]
pub trait Settler: Send + Sync + 'static {
    /// Settles the message under `lock`, retrying as long as that makes sense.
    async fn settle(&self, lock: LockToken, settlement: Settlement) -> Result<(), SettleError>;

    /// Begins the same where that can be done without waiting, and gives the confirmation its word later. Who
    /// cannot drops it, and is asked to [`Settler::settle`] then.
    fn begin(&self, lock: LockToken, settlement: &Settlement, confirmation: Confirmation) {
        let _cannot = (lock, settlement, confirmation);
    }

    /// Told when a delivery was dropped unsettled. Its lock is left to lapse.
    fn dropped(&self, lock: LockToken);
}

/// A message that this process holds the lock of, not [`Clone`] and not [`Copy`]: settling takes it by value, so
/// the compiler refuses a second settlement.
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
/// Dropping it unsettled is counted by the [`Settler`] and lets the lock lapse, after which the message comes
/// again with a raised delivery count.
#[must_use = "a delivery that is dropped unsettled stays locked until its lock lapses"]
pub struct Delivery {
    /// The message. Taking it out (`std::mem::take`) is fine; settling needs only the lock.
    pub message: Message,
    /// The lock it is held under.
    pub lock: LockToken,
    /// When it came, and with it the lock. How long locks hold is a matter of the queue ([`Queue::lock_length`]).
    ///
    /// [`Queue::lock_length`]: super::Queue::lock_length
    pub received: Instant,
    settler: Option<Arc<dyn Settler>>,
}

impl Delivery {
    /// Puts a message together with what can settle it.
    pub fn new(message: Message, lock: LockToken, received: Instant, settler: Arc<dyn Settler>) -> Self {
        Self { message, lock, received, settler: Some(settler) }
    }

    /// Settles the message. Retries inside, because the caller has nothing left to retry with.
    pub async fn settle(self, settlement: Settlement) -> Result<Settled, SettleError> {
        let (unsettled, _) = self.split();
        unsettled.settle(settlement).await
    }

    /// Ends the duty to settle: whoever calls this gives the message back in another way.
    pub(super) fn disarm(mut self) -> LockToken {
        self.settler = None;
        self.lock
    }

    /// Parts the message from the duty to settle it, for work that consumes the message.
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

/// What is left of a [`Delivery`] when the message has been taken out: the duty to settle it, once.
#[must_use = "a delivery that is dropped unsettled stays locked until its lock lapses"]
pub struct Unsettled {
    /// The lock the message is held under.
    pub lock: LockToken,
    settler: Option<Arc<dyn Settler>>,
}

impl Unsettled {
    /// Settles the message. Retries inside, because the caller has nothing left to retry with.
    ///
    /// When the returned future is dropped before it is done, the settlement may or may not have happened; the
    /// delivery counts as dropped.
    pub async fn settle(mut self, settlement: Settlement) -> Result<Settled, SettleError> {
        let Some(settler) = self.settler.as_ref().map(Arc::clone) else {
            // Only `settle` and `drop` empty the field, and both consume the value.
            return Err(SettleError::LockLost);
        };
        let outcome = settler.settle(self.lock, settlement).await;
        self.settler = None;
        outcome.map(|()| Settled(()))
    }

    /// Begins to settle the message and waits for nothing: how it ended comes out of `confirmations`.
    pub fn begin(self, settlement: &Settlement, confirmations: &Confirmations) -> Settling {
        let confirmation = confirmations.of(self.lock);
        if let Some(settler) = &self.settler {
            // A panic drops the confirmation, and so is told like anything else that could not be done.
            let begin = || settler.begin(self.lock, settlement, confirmation);
            let _told = catch_unwind(AssertUnwindSafe(begin));
        }
        Settling(self)
    }
}

/// A delivery whose settlement has begun. Dropped before its end is known, it counts as dropped unsettled.
#[must_use = "the settlement may not have been possible this way"]
#[derive(Debug)]
pub struct Settling(Unsettled);

impl Settling {
    /// The end is known: the message is settled, or the duty to settle it comes back.
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
    impl Settler for Record {
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
        Delivery::new(Message::default(), lock, Instant::now(), Arc::clone(record) as Arc<dyn Settler>)
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
