//! verdict → settle: carries settlements out beside the pipeline, in the order in which they were decided.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use shared::{
    backoff::Backoff,
    class::Class,
    engine::Ending,
    ids::LockToken,
    reason::{DeadLetter, chain},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::returns::{self, Past};
use crate::{
    bus::{Error, Message, Queue, SettleError, Settlement, Unsettled},
    clock,
    telemetry::{Observer, observer::Settlement as Settled, trace::MessageTrace},
};

/// How long a message that no copy could be made of is kept before it is given back: at once, it would come again
/// at once.
const REST: Duration = Duration::from_secs(1);

/// A message that is held until it is settled.
pub struct Held {
    /// The duty to settle it.
    pub unsettled: Unsettled,
    /// The message.
    pub message: Message,
    /// When its original reached the queue.
    pub enqueued: Timestamp,
    /// When it was received.
    pub received: Instant,
    /// Its trace, if it has one.
    pub trace: Option<Box<MessageTrace>>,
}

/// Settlements under way.
pub struct Settler<Q> {
    queue: Arc<Q>,
    returns: Backoff,
    observer: Arc<Observer>,
    under_way: JoinSet<LockToken>,
}

impl<Q: Queue> Settler<Q> {
    /// None under way.
    pub fn new(queue: Arc<Q>, returns: Backoff, observer: Arc<Observer>) -> Self {
        Self { queue, returns, observer, under_way: JoinSet::new() }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next settlement that is done; `None` if there is none to wait for.
    pub async fn next(&mut self) -> Option<LockToken> {
        loop {
            // A settlement that panicked leaves its lock to lapse; there is nothing to tell of it.
            if let Ok(done) = self.under_way.join_next().await? {
                return Some(done);
            }
        }
    }

    /// A settlement that is done already.
    pub fn try_next(&mut self) -> Option<LockToken> {
        loop {
            if let Ok(done) = self.under_way.try_join_next()? {
                return Some(done);
            }
        }
    }

    /// Settles a message as this ending asks.
    pub fn settle(&mut self, held: Held, ending: Ending, letter: Option<DeadLetter>) {
        let (queue, observer) = (Arc::clone(&self.queue), Arc::clone(&self.observer));
        let delay = self.returns;
        self.under_way.spawn(async move {
            let Held { unsettled, message, enqueued, received, trace } = held;
            let (lock, begun) = (unsettled.lock, Instant::now());
            let traced = trace.map(|trace| (trace, clock::now(), letter.clone()));
            log(&observer, &message, ending, letter.as_ref());
            let settling = async {
                let (settlement, ended) = settlement(&*queue, &message, ending, letter, delay).await;
                if ending == Ending::Returned {
                    observer.sent(ended == Ending::Returned);
                }
                match unsettled.settle(settlement).await {
                    Ok(_) => ended,
                    Err(error) => {
                        report(&message, &error);
                        Ending::Unsettled
                    }
                }
            };
            // Whatever happens, the pipeline must hear of it, or the lock would be renewed for ever.
            let ending = AssertUnwindSafe(settling).catch_unwind().await.unwrap_or(Ending::Unsettled);
            observer.settled(Settled {
                ending,
                age: Duration::try_from(clock::now().duration_since(enqueued)).unwrap_or_default(),
                held: received.elapsed(),
                took: begun.elapsed(),
            });
            if let Some((trace, asked, letter)) = traced {
                let destination = &observer.metrics.constants().destination;
                trace.settled(&message, destination, asked, ending, letter.as_ref());
            }
            lock
        });
    }
}

/// What settles a message as its ending asks, and how it ends for that: a message that is to come back later is
/// completed once its copy is confirmed.
async fn settlement<Q: Queue>(
    queue: &Q,
    message: &Message,
    ending: Ending,
    letter: Option<DeadLetter>,
    delays: Backoff,
) -> (Settlement, Ending) {
    match (ending, letter) {
        (Ending::Applied | Ending::Stale | Ending::Unchanged(_), _) => (Settlement::Complete, ending),
        (Ending::DeadLettered(_), Some(letter)) => (Settlement::DeadLetter(letter), ending),
        (Ending::Released | Ending::Unsettled | Ending::DeadLettered(_), _) => (Settlement::Release, ending),
        (Ending::Returned, letter) => match schedule(queue, message, delays).await {
            Ok(()) => (Settlement::Complete, ending),
            Err(error) => without_copy(message, &error, letter).await,
        },
    }
}

/// Without a confirmed copy the original must stay. It is given back untouched, because what keeps copies away
/// (no right to send, a full queue, a broken connection) is not its fault and must not use up its delivery
/// count. Only a message that the queue refuses for itself is dead-lettered, or it would turn in circles.
async fn without_copy(message: &Message, error: &Error, letter: Option<DeadLetter>) -> (Settlement, Ending) {
    let (sequence, cause) = (message.sequence, chain(error));
    if let (Class::Permanent, Some(letter)) = (error.class(), letter) {
        let reason = letter.reason;
        let text = format!("{}; no copy for a later try could be sent: {cause}", letter.description.as_str());
        tracing::warn!(message.sequence = %sequence, cause, "no copy for later could be sent; the message is dead-lettered");
        return (Settlement::DeadLetter(DeadLetter::new(reason, &text)), Ending::DeadLettered(reason));
    }
    tracing::warn!(
        message.sequence = %sequence, cause,
        "no copy for later could be sent; the message is given back; the worker needs the right Send on the queue",
    );
    sleep(REST).await;
    (Settlement::Release, Ending::Released)
}

/// Sends the copy that comes back later; returns when the service has confirmed it.
async fn schedule<Q: Queue>(queue: &Q, message: &Message, delays: Backoff) -> Result<(), Error> {
    let now = clock::now();
    let attempt = Past::of(message).attempt.saturating_add(1);
    // Between half and all of the ceiling: a message that comes back at once would only fail again.
    let delay: Duration = delays.delay(attempt, 0.5 + rand::random::<f64>() / 2.0);
    let Some(copy) = returns::copy(message, now) else {
        return Err(Error::Protocol { doing: "copying a message", what: "its body cannot be read".into() });
    };
    let at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    queue.schedule(copy, at).await
}

fn log(observer: &Observer, message: &Message, ending: Ending, letter: Option<&DeadLetter>) {
    let (sequence, count) = (message.sequence, message.delivery_count);
    let correlation = message.correlation_id.as_deref().unwrap_or_default();
    let outcome = ending.outcome();
    if let Some(letter) = letter {
        tracing::warn!(
            message.sequence = %sequence, message.correlation_id = correlation, delivery.count = %count,
            outcome, reason = letter.reason.as_str(), cause = letter.description.as_str(), "message {outcome}",
        );
    } else if observer.may_log() {
        tracing::info!(
            message.sequence = %sequence, message.correlation_id = correlation, delivery.count = %count,
            outcome, reason = ending.reason(), "message {outcome}",
        );
    }
}

fn report(message: &Message, error: &SettleError) {
    tracing::info!(
        message.sequence = %message.sequence, error = %chain(error),
        "a settlement did not reach the queue; the message will come again",
    );
}
