//! Messages and their properties, independent of the protocol.

use std::collections::{HashMap, hash_map::Entry};

use bytes::Bytes;
use jiff::Timestamp;
use shared::ids::{DeliveryCount, SequenceNumber};
use uuid::Uuid;

/// A message as the queue holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Sequence number: unique in this queue or sub-queue.
    pub sequence: SequenceNumber,
    /// Delivery count as AMQP reports it: failed deliveries before this one.
    pub delivery_count: DeliveryCount,
    /// When it was enqueued, by the clock of the service.
    pub enqueued: Option<Timestamp>,
    /// Message id, the key of duplicate detection. Ids of other types are converted to text.
    pub message_id: Option<Box<str>>,
    /// Correlation id.
    pub correlation_id: Option<Box<str>>,
    /// Content type of the body, if the sender set one.
    pub content_type: Option<Box<str>>,
    /// Subject, also called label.
    pub subject: Option<Box<str>>,
    /// Session id.
    pub session_id: Option<Box<str>>,
    /// Application properties, in the order of the sender.
    pub properties: ApplicationProperties,
    /// The body, or why it cannot be read as bytes.
    pub body: Result<Bytes, UnreadableBody>,
    /// The encoded message, if it could not be decoded.
    pub encoded: Option<Bytes>,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            sequence: SequenceNumber::default(),
            delivery_count: DeliveryCount::default(),
            enqueued: None,
            message_id: None,
            correlation_id: None,
            content_type: None,
            subject: None,
            session_id: None,
            properties: ApplicationProperties::default(),
            body: Ok(Bytes::new()),
            encoded: None,
        }
    }
}

/// Why a body cannot be read. Such a message can be settled like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableBody {
    /// The body is a sequence of values.
    #[error("the body is a sequence of values where bytes were expected")]
    Sequence,
    /// The body is a value that is neither bytes nor text.
    #[error("the body is a typed value where bytes were expected")]
    Value,
    /// The message does not follow the format of messages, or goes beyond what one may reasonably hold. What is
    /// known of it was read beside the damage.
    #[error("the message cannot be taken apart: it {0}")]
    Message(Damage),
}

/// What is wrong with encoded bytes; a sentence about "it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Values within values without end, which nobody writes by mistake.
    #[error("is nested more than 32 levels deep")]
    Deep,
    /// Fewer bytes than a value needs.
    #[error("ends in the middle of a value")]
    CutOff,
    /// A length or a count that does not agree with what is there.
    #[error("announces a length or a count that is not that of what it holds")]
    Length,
    /// A byte that begins no value.
    #[error("holds a byte that begins no value where one should begin")]
    Constructor,
    /// A value that its type does not have.
    #[error("holds a value that its type does not have")]
    Value,
    /// Text of other bytes than those of text.
    #[error("holds text that is not UTF-8")]
    Text,
    /// A map that does not consist of pairs.
    #[error("holds a map with a key that has no value")]
    Odd,
    /// A section that messages do not have, twice, or of another type.
    #[error("has a section that no message has, one twice or one of a wrong type")]
    Section,
    /// An application property that is not a name and a simple value.
    #[error("has an application property that is not a name with a simple value")]
    Property,
    /// More application properties than anybody needs.
    #[error("has more than 1,000 application properties")]
    Properties,
    /// A name of an application property that is longer than anybody needs.
    #[error("has an application property with a name of more than 1,024 bytes")]
    Name,
}

/// Application properties in the order of the sender.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApplicationProperties(Vec<(Box<str>, ApplicationValue)>);

impl ApplicationProperties {
    /// The value under a name; names are told apart by case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ApplicationValue> {
        self.0.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// The text under a name, or nothing if there is none or it is not text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            ApplicationValue::Text(text) | ApplicationValue::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// Sets a value, in place if the name is taken.
    pub fn set(&mut self, name: impl Into<Box<str>>, value: ApplicationValue) {
        let name = name.into();
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<ApplicationValue> {
        let at = self.0.iter().position(|(key, _)| &**key == name)?;
        Some(self.0.remove(at).1)
    }

    /// All of them, in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &ApplicationValue)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Box<str>>> FromIterator<(N, ApplicationValue)> for ApplicationProperties {
    /// As if they were set one after the other, but in a time that does not grow with the square of their number:
    /// how many there are is up to the sender.
    fn from_iter<I: IntoIterator<Item = (N, ApplicationValue)>>(iter: I) -> Self {
        let mut all: Vec<(Box<str>, ApplicationValue)> = Vec::new();
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        for (name, value) in iter {
            match places.entry(name.into()) {
                Entry::Occupied(place) => all[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    all.push((place.key().clone(), value));
                    place.insert(all.len() - 1);
                }
            }
        }
        Self(all)
    }
}

/// A simple value. The widths are kept, so that a copy of a message carries what the original carried.
#[derive(Clone, Debug, PartialEq)]
pub enum ApplicationValue {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// 8 bits, unsigned.
    U8(u8),
    /// 16 bits, unsigned.
    U16(u16),
    /// 32 bits, unsigned.
    U32(u32),
    /// 64 bits, unsigned.
    U64(u64),
    /// 8 bits, signed.
    I8(i8),
    /// 16 bits, signed.
    I16(i16),
    /// 32 bits, signed.
    I32(i32),
    /// 64 bits, signed.
    I64(i64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
    /// Decimal floating point of 32, 64 or 128 bits, as its bytes.
    Decimal(Bytes),
    /// One character.
    Char(char),
    /// Milliseconds since 1970; kept as the number because senders write numbers outside the calendar.
    Time(i64),
    /// A GUID.
    Uuid(Uuid),
    /// Bytes.
    Binary(Bytes),
    /// Text.
    Text(Box<str>),
    /// A symbolic name.
    Symbol(Box<str>),
    /// A typed value of some platform, such as a time span or a URI of .NET, as it was encoded.
    Described(Bytes),
}

impl From<&str> for ApplicationValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// Id for duplicate detection. A copy of a message needs one of its own, or the queue may drop it silently.
    pub message_id: Option<Box<str>>,
    /// Correlation id.
    pub correlation_id: Option<Box<str>>,
    /// Media type of the body.
    pub content_type: Option<Box<str>>,
    /// Subject, also called label.
    pub subject: Option<Box<str>>,
    /// Session, for queues that require one.
    pub session_id: Option<Box<str>>,
    /// Application properties, in the order of the sender.
    pub properties: ApplicationProperties,
    /// The body, sent as one run of bytes.
    pub body: Bytes,
}

/// A message seen without taking its lock.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked {
    /// The message.
    pub message: Message,
    /// Whether it waits for a consumer or for something else.
    pub state: PeekedState,
    /// For a scheduled message: when it becomes visible.
    pub scheduled_for: Option<Timestamp>,
}

/// Where in its life a peeked message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeekedState {
    /// Waiting for a consumer, or locked by one.
    Active,
    /// Set aside by a consumer.
    Deferred,
    /// Invisible until its time comes.
    Scheduled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_property_twice_keeps_its_place() {
        let mut properties: ApplicationProperties =
            [("a", ApplicationValue::I32(1)), ("b", ApplicationValue::Null), ("a", "2".into())]
                .into_iter()
                .collect();
        properties.set("c", ApplicationValue::Bool(true));
        let names: Vec<_> = properties.iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(properties.text("a"), Some("2"));
        assert_eq!(properties.text("b"), None);
        assert_eq!(properties.remove("b"), Some(ApplicationValue::Null));
        assert_eq!(properties.get("b"), None);
    }
}
