//! The form in which messages are exported: one JSON object a line, from which the message can be made again.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use servicebus::{ApplicationProperties, ApplicationValue, Message, UnreadableBody};
use shared::{
    ids::{DeliveryCount, SequenceNumber},
    shown::brief,
};

/// A message as a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Record {
    sequence: i64,
    delivery_count: u32,
    /// When the queue took it in, in milliseconds since 1970.
    enqueued: Option<i64>,
    message_id: Option<Box<str>>,
    correlation_id: Option<Box<str>>,
    content_type: Option<Box<str>>,
    subject: Option<Box<str>>,
    session_id: Option<Box<str>>,
    /// Name, type and value of each, in order.
    properties: Vec<(Box<str>, Box<str>, Value)>,
    /// Base64; none if the body was none that can be read.
    body: Option<Box<str>>,
    /// Base64 of the whole message as it came, if it cannot be taken apart; and what is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<Unreadable>,
}

/// Which message a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordIdentity {
    sequence: i64,
    content: u64,
}

/// A message that cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Unreadable {
    /// For people; nothing depends on it.
    why: Box<str>,
    encoded: Box<str>,
}

/// A line is not what `export` writes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No JSON, or other fields.
    ///
    /// What the parser says is left out: it quotes the line, which holds personal data.
    #[error("the line is not a record of dead-letters export, from character {0} on")]
    Json(usize),
    /// The body is no base64.
    #[error("the body is not base64")]
    Body(#[from] base64::DecodeError),
    /// A property has a type or value that nothing writes.
    #[error("the property {} cannot be read", brief(.0, 64))]
    Property(Box<str>),
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.column())
    }
}

impl Record {
    /// The record of a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let property = |(name, property): (&str, &ApplicationValue)| {
            let (kind, value) = value(property);
            (name.into(), kind.into(), value)
        };
        Self {
            sequence: message.sequence.0,
            delivery_count: message.delivery_count.0,
            enqueued: message.enqueued.map(Timestamp::as_millisecond),
            message_id: message.message_id.clone(),
            correlation_id: message.correlation_id.clone(),
            content_type: message.content_type.clone(),
            subject: message.subject.clone(),
            session_id: message.session_id.clone(),
            properties: message.properties.iter().map(property).collect(),
            body: message.body.as_ref().ok().map(|body| STANDARD.encode(body).into()),
            unreadable: message.encoded.as_ref().map(|encoded| Unreadable {
                why: message.body.as_ref().err().map(ToString::to_string).unwrap_or_default().into(),
                encoded: STANDARD.encode(encoded).into(),
            }),
        }
    }

    /// The line, with its end.
    pub fn line(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// Reads a line.
    pub fn parse(line: &str) -> Result<Self, Error> {
        Ok(serde_json::from_str(line)?)
    }

    /// Whether a line that was cut off anywhere can have been one of ours.
    #[must_use]
    pub fn may_begin(cut: &[u8]) -> bool {
        let follows = |rest: &[u8], text: &[u8]| rest.starts_with(text) || text.starts_with(rest);
        let Some(number) = cut.strip_prefix(b"{\"sequence\":") else {
            return follows(cut, b"{\"sequence\":");
        };
        let digits = number.strip_prefix(b"-").unwrap_or(number);
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = number.strip_prefix(b"-").unwrap_or(number).get(digits..).unwrap_or_default();
        rest.is_empty() || digits > 0 && follows(rest, b",\"deliveryCount\":")
    }

    /// Its number in the dead-letter queue.
    #[must_use]
    pub fn sequence(&self) -> SequenceNumber {
        SequenceNumber(self.sequence)
    }

    /// What tells this message from all others: its number, and what it says. The number alone is not enough, because those of
    /// another queue are the same.
    #[must_use]
    pub fn identity(&self) -> RecordIdentity {
        let mut hasher = DefaultHasher::new();
        (&self.message_id, &self.correlation_id, &self.body).hash(&mut hasher);
        for (name, kind, value) in &self.properties {
            (name, kind, value.to_string()).hash(&mut hasher);
        }
        self.unreadable.as_ref().map(|unreadable| &unreadable.encoded).hash(&mut hasher);
        RecordIdentity { sequence: self.sequence, content: hasher.finish() }
    }

    /// The message again.
    pub fn message(self) -> Result<Message, Error> {
        let mut properties = ApplicationProperties::default();
        for (name, kind, value) in self.properties {
            let property = property(&kind, &value).ok_or_else(|| Error::Property(name.clone()))?;
            properties.set(name, property);
        }
        let body = match self.body {
            Some(body) => Ok(Bytes::from(STANDARD.decode(&*body)?)),
            None => Err(UnreadableBody::Value),
        };
        let encoded = self.unreadable.map(|unreadable| STANDARD.decode(&*unreadable.encoded)).transpose()?;
        let encoded = encoded.map(Bytes::from);
        Ok(Message {
            sequence: SequenceNumber(self.sequence),
            delivery_count: DeliveryCount(self.delivery_count),
            enqueued: self.enqueued.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            message_id: self.message_id,
            correlation_id: self.correlation_id,
            content_type: self.content_type,
            subject: self.subject,
            session_id: self.session_id,
            properties,
            body,
            encoded,
        })
    }
}

/// Name of a property's type, and its value. Numbers that JSON would bend travel as text.
fn value(property: &ApplicationValue) -> (&'static str, Value) {
    match property {
        ApplicationValue::Null => ("null", Value::Null),
        ApplicationValue::Bool(yes) => ("bool", json!(yes)),
        ApplicationValue::U8(n) => ("u8", json!(n)),
        ApplicationValue::U16(n) => ("u16", json!(n)),
        ApplicationValue::U32(n) => ("u32", json!(n)),
        ApplicationValue::U64(n) => ("u64", json!(n)),
        ApplicationValue::I8(n) => ("i8", json!(n)),
        ApplicationValue::I16(n) => ("i16", json!(n)),
        ApplicationValue::I32(n) => ("i32", json!(n)),
        ApplicationValue::I64(n) => ("i64", json!(n)),
        ApplicationValue::F32(n) => ("f32", json!(n.to_bits())),
        ApplicationValue::F64(n) => ("f64", json!(n.to_bits().to_string())),
        ApplicationValue::Decimal(bytes) => ("decimal", json!(STANDARD.encode(bytes))),
        ApplicationValue::Char(character) => ("char", json!(character)),
        ApplicationValue::Time(millis) => ("time", json!(millis)),
        ApplicationValue::Uuid(id) => ("uuid", json!(id.to_string())),
        ApplicationValue::Binary(bytes) => ("binary", json!(STANDARD.encode(bytes))),
        ApplicationValue::Text(text) => ("text", json!(text)),
        ApplicationValue::Symbol(text) => ("symbol", json!(text)),
        ApplicationValue::Described(bytes) => ("described", json!(STANDARD.encode(bytes))),
    }
}

fn property(kind: &str, value: &Value) -> Option<ApplicationValue> {
    let bytes = || STANDARD.decode(value.as_str()?).ok().map(Bytes::from);
    let unsigned = || value.as_u64();
    let signed = || value.as_i64();
    Some(match kind {
        "null" => ApplicationValue::Null,
        "bool" => ApplicationValue::Bool(value.as_bool()?),
        "u8" => ApplicationValue::U8(u8::try_from(unsigned()?).ok()?),
        "u16" => ApplicationValue::U16(u16::try_from(unsigned()?).ok()?),
        "u32" => ApplicationValue::U32(u32::try_from(unsigned()?).ok()?),
        "u64" => ApplicationValue::U64(unsigned()?),
        "i8" => ApplicationValue::I8(i8::try_from(signed()?).ok()?),
        "i16" => ApplicationValue::I16(i16::try_from(signed()?).ok()?),
        "i32" => ApplicationValue::I32(i32::try_from(signed()?).ok()?),
        "i64" => ApplicationValue::I64(signed()?),
        "f32" => ApplicationValue::F32(f32::from_bits(u32::try_from(unsigned()?).ok()?)),
        "f64" => ApplicationValue::F64(f64::from_bits(value.as_str()?.parse().ok()?)),
        "decimal" => ApplicationValue::Decimal(bytes()?),
        "char" => ApplicationValue::Char(value.as_str()?.parse().ok()?),
        "time" => ApplicationValue::Time(signed()?),
        "uuid" => ApplicationValue::Uuid(value.as_str()?.parse().ok()?),
        "binary" => ApplicationValue::Binary(bytes()?),
        "text" => ApplicationValue::Text(value.as_str()?.into()),
        "symbol" => ApplicationValue::Symbol(value.as_str()?.into()),
        "described" => ApplicationValue::Described(bytes()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use uuid::Uuid;

    use super::*;

    fn any_property() -> impl Strategy<Value = ApplicationValue> {
        prop_oneof![
            Just(ApplicationValue::Null),
            any::<bool>().prop_map(ApplicationValue::Bool),
            any::<u64>().prop_map(ApplicationValue::U64),
            any::<i8>().prop_map(ApplicationValue::I8),
            any::<i64>().prop_map(ApplicationValue::I64),
            any::<f32>().prop_filter("comparable", |n| !n.is_nan()).prop_map(ApplicationValue::F32),
            any::<f64>().prop_filter("comparable", |n| !n.is_nan()).prop_map(ApplicationValue::F64),
            any::<char>().prop_map(ApplicationValue::Char),
            any::<i64>().prop_map(ApplicationValue::Time),
            any::<u128>().prop_map(|id| ApplicationValue::Uuid(Uuid::from_u128(id))),
            vec(any::<u8>(), 0..20).prop_map(|bytes| ApplicationValue::Binary(bytes.into())),
            vec(any::<u8>(), 0..20).prop_map(|bytes| ApplicationValue::Described(bytes.into())),
            any::<String>().prop_map(|text| ApplicationValue::Text(text.into())),
            any::<String>().prop_map(|text| ApplicationValue::Symbol(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn a_message_comes_back_from_its_line_as_it_was(
            sequence in any::<i64>(),
            message_id in option::of(any::<String>()),
            properties in vec((any::<String>(), any_property()), 0..5),
            body in vec(any::<u8>(), 0..200),
        ) {
            let message = Message {
                sequence: SequenceNumber(sequence),
                enqueued: Timestamp::from_second(1_234).ok(),
                message_id: message_id.map(Into::into),
                properties: properties.into_iter().collect(),
                body: Ok(body.into()),
                ..Message::default()
            };
            let line = Record::of(&message).line().expect("serializes");
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(Record::parse(&line).expect("parses").message().expect("complete"), message);
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for line in ["", "{}", "[1]", r#"{"sequence": "ada@example.com"}"#, r#"{"ada@example.com": 1}"#] {
            let told = Record::parse(line).expect_err(line);
            assert!(!format!("{told} {told:?}").contains("ada"), "{told}");
        }
    }
}
