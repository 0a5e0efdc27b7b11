//! A message as the broker keeps it: what the sender gave, without what the service adds on the way out.

use std::time::Duration;

use bytes::Bytes;
use serde_amqp::Value;

use super::Time;

/// One stored message. The body is never looked into.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// `header.durable` as the sender gave it.
    pub durable: Option<bool>,
    /// `header.priority` as the sender gave it.
    pub priority: Option<u8>,
    /// Time to live as the sender gave it; the entity's default caps it.
    pub ttl: Option<Duration>,
    /// When a scheduled message is to appear.
    pub scheduled: Option<Time>,
    /// The sender's message annotations, without those that the service sets itself.
    pub annotations: Vec<(String, Value)>,
    /// The immutable properties section.
    pub properties: Properties,
    /// The application properties, in the sender's order.
    pub application_properties: Vec<(String, Value)>,
    /// The encoded body sections and the footer.
    pub body: Bytes,
    /// Properties, application properties and body exactly as received, for as long as nothing changed them.
    pub encoded: Option<Bytes>,
}

impl Message {
    /// A message as a client would send it: `body` is what [`data_section`] makes of its bytes.
    #[must_use]
    pub fn of(message_id: &str, content_type: &str, body: Bytes) -> Self {
        let mut properties = Properties::default();
        properties.set_message_id(Value::String(message_id.to_owned()));
        properties.set_named("contenttype", Value::Symbol(content_type.into()));
        Self { properties, body, ..Self::default() }
    }
}

/// Bytes as the one section of a message's body.
#[must_use]
pub fn data_section(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&[0x00, 0x53, 0x75, 0xb0][..], &length.to_be_bytes(), bytes].concat().into()
}

/// Position of each field in the AMQP properties list.
mod field {
    pub(super) const MESSAGE_ID: usize = 0;
    pub(super) const TO: usize = 2;
    pub(super) const SUBJECT: usize = 3;
    pub(super) const REPLY_TO: usize = 4;
    pub(super) const CORRELATION_ID: usize = 5;
    pub(super) const CONTENT_TYPE: usize = 6;
    pub(super) const GROUP_ID: usize = 10;
    pub(super) const REPLY_TO_GROUP_ID: usize = 12;
    pub(super) const COUNT: usize = 13;
}

/// The AMQP properties section, field by field in wire order; absent ones are null.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(Vec<Value>);

impl Properties {
    /// Takes the fields of a properties section; missing ones at the end count as null.
    #[must_use]
    pub fn from_fields(mut fields: Vec<Value>) -> Self {
        fields.truncate(field::COUNT);
        Self(fields)
    }

    /// The fields in wire order, possibly fewer than the section can have.
    #[must_use]
    pub fn fields(&self) -> &[Value] {
        &self.0
    }

    fn get(&self, index: usize) -> Option<&Value> {
        self.0.get(index).filter(|value| **value != Value::Null)
    }

    fn text(&self, index: usize) -> Option<&str> {
        match self.get(index)? {
            Value::String(text) => Some(text),
            Value::Symbol(symbol) => Some(symbol.as_str()),
            _ => None,
        }
    }

    fn set(&mut self, index: usize, value: Value) {
        if self.0.len() <= index {
            self.0.resize(index + 1, Value::Null);
        }
        self.0[index] = value;
    }

    /// The message id in its wire type.
    #[must_use]
    pub fn message_id(&self) -> Option<&Value> {
        self.get(field::MESSAGE_ID)
    }

    /// Sets the message id.
    pub fn set_message_id(&mut self, id: Value) {
        self.set(field::MESSAGE_ID, id);
    }

    /// The correlation id in its wire type.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&Value> {
        self.get(field::CORRELATION_ID)
    }

    /// The session that the message belongs to.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.text(field::GROUP_ID)
    }

    /// The session in which a reply is expected.
    #[must_use]
    pub fn reply_to_session_id(&self) -> Option<&str> {
        self.text(field::REPLY_TO_GROUP_ID)
    }

    /// The label, which AMQP calls subject.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text(field::SUBJECT)
    }

    /// Sets the label.
    pub fn set_subject(&mut self, subject: String) {
        self.set(field::SUBJECT, Value::String(subject));
    }

    /// The `to` address.
    #[must_use]
    pub fn to(&self) -> Option<&str> {
        self.text(field::TO)
    }

    /// Sets the field that Service Bus calls `name` (in lower case); other names are ignored.
    pub fn set_named(&mut self, name: &str, value: Value) {
        let field = match name {
            "messageid" => field::MESSAGE_ID,
            "to" => field::TO,
            "label" | "subject" => field::SUBJECT,
            "replyto" => field::REPLY_TO,
            "correlationid" => field::CORRELATION_ID,
            "contenttype" => field::CONTENT_TYPE,
            "sessionid" => field::GROUP_ID,
            "replytosessionid" => field::REPLY_TO_GROUP_ID,
            _ => return,
        };
        self.set(field, value);
    }

    /// The `reply-to` address.
    #[must_use]
    pub fn reply_to(&self) -> Option<&str> {
        self.text(field::REPLY_TO)
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.text(field::CONTENT_TYPE)
    }
}

impl Message {
    /// What the message counts against the quota and the size limit, in bytes.
    ///
    /// The service counts the encoded message; what it adds itself on the way out is left aside.
    #[must_use]
    pub fn size(&self) -> u64 {
        let counted = match &self.encoded {
            Some(encoded) => encoded.len(),
            None => self.body.len() + 64 * (self.application_properties.len() + 1),
        };
        counted as u64
    }

    /// The message id as text, whatever its type on the wire.
    #[must_use]
    pub fn message_id(&self) -> Option<String> {
        self.properties.message_id().map(id_text)
    }

    /// Gives the message the id `id` if its sender set none.
    pub fn ensure_message_id(&mut self, id: impl FnOnce() -> String) {
        if self.properties.message_id().is_none() {
            self.properties.set_message_id(Value::String(id()));
            self.encoded = None;
        }
    }

    /// Sets an application property, replacing one of the same name.
    pub fn set_property(&mut self, name: &str, value: Value) {
        self.encoded = None;
        match self.application_properties.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.application_properties.push((name.to_owned(), value)),
        }
    }

    /// Takes an application property away.
    pub fn remove_property(&mut self, name: &str) {
        self.encoded = None;
        self.application_properties.retain(|(known, _)| known != name);
    }

    /// An application property by name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.application_properties.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// An id as text: strings as they are, other types in their usual notation.
#[must_use]
pub fn id_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Symbol(symbol) => symbol.as_str().to_owned(),
        Value::Ulong(number) => number.to_string(),
        Value::Uuid(uuid) => uuid::Uuid::from_bytes(*uuid.as_inner()).to_string(),
        Value::Binary(bytes) => hex(bytes),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
