//! One message on its way back: its copy sent and confirmed, then the dead letter completed. Never the other way
//! round: what happens in between leads to a duplicate, which the guard makes harmless, and not to a loss.

use std::{sync::Arc, time::Duration};

use servicebus::{Error, Message, Outgoing, Queue, Settlement, retry::retry};
use shared::{ids::LockToken, retry::Ladder};

use super::Item;

/// Tries of one copy over failures that pass, and the waits between them.
const COPY: Ladder = Ladder::fixed(Duration::from_millis(200), Duration::from_secs(10)).with_tries(8);

/// How it went.
pub(super) struct Sent {
    /// The dead letter, without its body.
    pub(super) message: Message,
    /// Its lock, which need not be kept any more; none if it is given back with the item.
    pub(super) lock: Option<LockToken>,
    /// Whether only its completion was missing.
    pub(super) was_copied: bool,
    /// Message-id of the copy and whether the dead letter is completed, or the failure and the message again.
    pub(super) result: Result<(Box<str>, bool), (Error, Item)>,
}

/// Sends the copy, if there is one to send, and completes the dead letter.
pub(super) async fn send<Q: Queue + ?Sized>(target: Arc<Q>, item: Item, copy: Option<Outgoing>) -> Sent {
    let was_copied = copy.is_none();
    let message = Message { body: Ok(bytes::Bytes::new()), ..item.message.clone() };
    let mut message_id = Box::default();
    if let Some(copy) = copy {
        message_id = copy.message_id.clone().unwrap_or_default();
        if let Err(error) = confirm(&*target, copy).await {
            return Sent { message, lock: None, was_copied, result: Err((error, item)) };
        }
    }
    let lock = item.lock.as_ref().map(|unsettled| unsettled.lock);
    let completed = match item.lock {
        Some(unsettled) => unsettled.settle(Settlement::Remove).await.is_ok(),
        None => true,
    };
    Sent { message, lock, was_copied, result: Ok((message_id, completed)) }
}

/// Returns when the service has the copy. All tries carry the same id.
pub(crate) async fn confirm<Q: Queue + ?Sized>(target: &Q, copy: Outgoing) -> Result<(), Error> {
    retry(COPY, |error: &Error| error.class().into(), || target.send(copy.clone())).await
}
