//! A delivery as it comes off the link.

use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::Delivery as WireDelivery;
use shared::ids::LockToken;
use tokio::time::Instant;

use super::link::Link;
use super::recovery::Failure;
use super::settler::{Held, Locks};
use super::wire::{self, WireBody};
use crate::bus::message::{Message, UnreadableBody};
use crate::times::Times;

/// What the library hands out for a delivery.
pub(super) type Received = Result<WireDelivery<WireBody>, RecvError>;

/// A message and its lock.
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) lock: LockToken,
    pub(super) received: Instant,
}

/// Takes a delivery over from the library and remembers its lock.
pub(super) fn arrive(
    link: &mut Link,
    delivery: Received,
    times: &Times,
    locks: &mut Locks,
) -> Result<Option<Arrived>, Failure> {
    let received = Instant::now();
    if let Some(drained) = &mut link.drained {
        *drained = received;
    }
    let (info, wire) = match delivery {
        Ok(delivery) => {
            let (info, message) = delivery.into_parts();
            (info, Some(message))
        }
        // The delivery is ours all the same: it has a lock and must be settled like any other.
        Err(RecvError::MessageDecode(error)) => (error.info, None),
        Err(error) => return Err(link.doing().recv(error)),
    };
    let Some(lock) = wire::lock_token(wire.as_ref(), info.delivery_tag()) else {
        tracing::warn!("a message came without a lock token; its lock is left to lapse");
        return Ok(None);
    };
    let locked_until = wire.as_ref().and_then(wire::locked_until);
    let message = match wire {
        Some(wire) => wire::message(wire),
        None => Message { body: Err(UnreadableBody::Message), ..Message::default() },
    };
    if let Some(until) = locked_until {
        times.locked(until, message.enqueued, received);
    }
    link.unsettled += 1;
    locks.insert(lock, Held { epoch: link.epoch, info, since: received });
    Ok(Some(Arrived { message, lock, received }))
}
