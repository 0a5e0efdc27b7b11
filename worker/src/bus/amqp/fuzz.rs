//! Messages and replies from their bytes.

use fe2o3_amqp_types::messaging::Body;
use fe2o3_amqp_types::messaging::message::{__private::Serializable, DecodeIntoMessage};
use serde_amqp::Value;
use serde_amqp::read::IoReader;

use super::wire::{self, WireBody};
use super::{recovery::Failure, rpc};
use crate::bus::error::Error;
use crate::bus::message::{Message, Outgoing, Peeked};

/// A message that came over a link; `None` if it becomes a dead letter unread.
#[must_use]
pub fn message(encoded: &[u8]) -> Option<Message> {
    WireBody::decode_message_from_reader(IoReader::new(encoded)).ok().map(wire::message)
}

/// A message inside the answer to a look into the queue.
#[must_use]
pub fn peeked(encoded: &[u8]) -> Option<Peeked> {
    wire::peeked(encoded)
}

/// A reply of `$cbs` or `$management`: whether it could be read, and what it says.
pub fn reply(encoded: &[u8]) -> Option<Result<(), Error>> {
    let message = Body::<Value>::decode_message_from_reader(IoReader::new(encoded)).ok()?;
    Some(rpc::read_reply("asking", message).map(drop).map_err(|Failure { error, .. }| error))
}

/// The bytes of a message that is sent.
#[must_use]
pub fn encoded(message: &Outgoing) -> Vec<u8> {
    serde_amqp::to_vec(&Serializable(wire::outgoing(message, None))).unwrap_or_default()
}
