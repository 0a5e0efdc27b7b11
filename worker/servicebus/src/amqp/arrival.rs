//! A delivery as it comes off the link.

use fe2o3_amqp::link::{RecvError, delivery::Delivery as WireDelivery};
use shared::ids::LockToken;
use tokio::time::Instant;

use super::{
    link::Link,
    recovery::Failure,
    settler::{Held, Locks},
    wall::Numbered,
    wire::Read,
};
use crate::{message::Message, times::Times};

/// What the library hands out for a delivery.
pub(super) type Received = Result<WireDelivery<Numbered>, RecvError>;

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
    let (info, number) = delivery.map_err(|error| link.doing().recv(error))?.into_parts();
    let Some(encoded) = link.shelf.take(number.body) else {
        return Err(link.doing().link_ended("a message came that nobody has seen"));
    };
    let read = Read::of(&encoded);
    let Some(lock) = read.lock_token(info.delivery_tag()) else {
        tracing::warn!("a message came without a lock token; its lock is left to lapse");
        return Ok(None);
    };
    let (message, locked_until) = (read.message, read.locked_until);
    if let Some(until) = locked_until {
        times.locked(until, message.enqueued, received);
    }
    link.unsettled += 1;
    locks.insert(lock, Held { epoch: link.epoch, info, since: received });
    Ok(Some(Arrived { message, lock, received }))
}
