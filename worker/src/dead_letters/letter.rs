//! What a dead letter says about its failure.

use jiff::Timestamp;
use shared::ids::SequenceNumber;

use crate::{
    bus::{CODE, Message, TARGET},
    pool::returns::{DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, Past},
};

/// A dead letter without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number in the dead-letter queue.
    pub sequence: SequenceNumber,
    /// Why it is there: one of ours, or one of Service Bus's own; empty if nobody said.
    pub reason: Box<str>,
    /// What happened and what to do.
    pub description: Box<str>,
    /// Graph's code, if Graph refused.
    pub code: Option<Box<str>>,
    /// The property of the user that it is about.
    pub target: Option<Box<str>>,
    /// When its original reached the queue.
    pub since: Option<Timestamp>,
    /// Its message-id.
    pub message_id: Option<Box<str>>,
}

impl Letter {
    /// Reads it off a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let text = |name: &str| message.properties.text(name).map(Into::into);
        Self {
            sequence: message.sequence,
            reason: text(DEAD_LETTER_REASON).unwrap_or_default(),
            description: text(DEAD_LETTER_DESCRIPTION).unwrap_or_default(),
            code: text(CODE),
            target: text(TARGET),
            since: Past::of(message).first_seen,
            message_id: message.message_id.clone(),
        }
    }
}
