//! verdict → settle: carries settlements out beside the pipeline, in the order in which they were decided.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    backoff::Backoff,
    engine::Ending,
    ids::LockToken,
    reason::{DeadLetter, chain},
};
use tokio::task::JoinSet;

use super::returns::{self, Past};
use crate::{
    bus::{Error, Message, Queue, SettleError, Settlement, Unsettled},
    clock,
};

/// Settlements under way.
pub struct Settler<Q> {
    queue: Arc<Q>,
    returns: Backoff,
    under_way: JoinSet<(LockToken, Ending)>,
}

impl<Q: Queue> Settler<Q> {
    /// None under way.
    pub fn new(queue: Arc<Q>, returns: Backoff) -> Self {
        Self { queue, returns, under_way: JoinSet::new() }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next settlement that is done; `None` if there is none to wait for.
    pub async fn next(&mut self) -> Option<(LockToken, Ending)> {
        loop {
            // A settlement that panicked leaves its lock to lapse; there is nothing to tell of it.
            if let Ok(done) = self.under_way.join_next().await? {
                return Some(done);
            }
        }
    }

    /// Settles a message as this ending asks.
    pub fn settle(
        &mut self,
        unsettled: Unsettled,
        message: Message,
        ending: Ending,
        letter: Option<DeadLetter>,
    ) {
        let queue = Arc::clone(&self.queue);
        let delay = self.returns;
        self.under_way.spawn(async move {
            let lock = unsettled.lock;
            log(&message, ending, letter.as_ref());
            let settled = match ending {
                Ending::Applied | Ending::Stale | Ending::Unchanged(_) => {
                    unsettled.settle(Settlement::Complete).await
                }
                Ending::DeadLettered(_) => match letter {
                    Some(letter) => unsettled.settle(Settlement::DeadLetter(letter)).await,
                    None => unsettled.settle(Settlement::Abandon).await,
                },
                Ending::Released | Ending::Unsettled => unsettled.settle(Settlement::Release).await,
                Ending::Returned => match schedule(&*queue, &message, delay).await {
                    Ok(()) => unsettled.settle(Settlement::Complete).await,
                    // Without a confirmed copy the original must stay: it comes again by itself.
                    Err(error) => {
                        tracing::warn!(message.sequence = %message.sequence, error = %chain(&error), "no copy for later could be sent; the message is abandoned");
                        unsettled.settle(Settlement::Abandon).await
                    }
                },
            };
            match settled {
                Ok(_) => (lock, ending),
                Err(error) => {
                    report(&message, &error);
                    (lock, Ending::Unsettled)
                }
            }
        });
    }
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

fn log(message: &Message, ending: Ending, letter: Option<&DeadLetter>) {
    let (sequence, count) = (message.sequence, message.delivery_count);
    let correlation = message.correlation_id.as_deref().unwrap_or_default();
    let outcome = ending.outcome();
    if let Some(letter) = letter {
        tracing::warn!(
            message.sequence = %sequence, message.correlation_id = correlation, delivery.count = %count,
            outcome, reason = letter.reason.as_str(), cause = letter.description.as_str(), "message {outcome}",
        );
    } else {
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
