//! What a dead letter says about its failure.

use jiff::Timestamp;
use servicebus::Message;
use shared::{ids::SequenceNumber, reason::DeadLetterReason};

use crate::envelope::{CODE, DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, DeliveryHistory, TARGET};

/// A dead letter without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
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
    pub(crate) fn of(message: &Message) -> Self {
        let text = |name: &str| message.properties.text(name);
        let reason = text(DEAD_LETTER_REASON).unwrap_or_default();
        let particular =
            |name| text(name).filter(|text| is_ours(reason) && is_particular(text)).map(Into::into);
        Self {
            sequence: message.sequence,
            reason: reason.into(),
            description: text(DEAD_LETTER_DESCRIPTION).unwrap_or_default().into(),
            code: particular(CODE),
            target: particular(TARGET),
            since: DeliveryHistory::of(message).first_seen,
            message_id: message.message_id.clone(),
        }
    }
}

/// Whether the worker has dead-lettered it. Then it has also said what Graph's code and the property are, or emptied
/// what stood there; where somebody else has, or the service itself, those can be the sender's.
fn is_ours(reason: &str) -> bool {
    DeadLetterReason::ALL.iter().any(|ours| ours.as_str() == reason)
}

/// Whether it can be a code of Graph or a property.
fn is_particular(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use servicebus::ApplicationValue;

    use super::*;

    fn code_of(reason: &str, code: &str) -> Option<Box<str>> {
        let properties = [(DEAD_LETTER_REASON, reason), (CODE, code), (TARGET, code)];
        let properties = properties.map(|(name, text)| (name, ApplicationValue::from(text)));
        let letter =
            Letter::of(&Message { properties: properties.into_iter().collect(), ..Message::default() });
        assert_eq!(letter.code, letter.target);
        letter.code
    }

    #[test]
    fn code_and_property_are_believed_only_where_the_worker_has_set_or_emptied_them() {
        assert_eq!(code_of("GraphRefused", "Request_BadRequest").as_deref(), Some("Request_BadRequest"));
        for (reason, code) in [
            ("MaxDeliveryCountExceeded", "Request_BadRequest"),
            ("", "Request_BadRequest"),
            ("GraphRefused", ""),
            ("GraphRefused", "\x1b[2J"),
            ("GraphRefused", "two words"),
            ("GraphRefused", &"x".repeat(129)),
        ] {
            assert_eq!(code_of(reason, code), None, "{reason} {code:?}");
        }
    }
}
