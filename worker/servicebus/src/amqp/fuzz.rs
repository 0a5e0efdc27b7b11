//! Messages, replies and frames from their bytes, and the bytes of a message.

use fe2o3_amqp_types::messaging::message::__private::Serializable;

use super::outgoing::outgoing;
pub use super::untrusted::{Piece, message, peeked, reply, stream};
use crate::message::Outgoing;

/// The bytes of a message that is sent.
#[must_use]
pub fn encoded(message: &Outgoing) -> Vec<u8> {
    serde_amqp::to_vec(&Serializable(outgoing(message, None))).unwrap_or_default()
}
