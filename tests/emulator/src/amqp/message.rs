//! Messages between their encoded form and the broker's.

use std::time::Duration;

use bytes::Bytes;
use serde_amqp::{Value, primitives::OrderedMap};
use thiserror::Error;

use super::{
    span,
    value::{
        bytes as binary_bytes, described, encode, entries, fields, number, symbol, text, timestamp,
        undescribe, uuid,
    },
};
use crate::{
    breakage::{Breakage, Broken},
    broker::{Delivery, Hold, Message, Properties, Time, View, id_text},
};

/// Descriptor codes of the message sections.
pub(crate) mod section {
    pub(crate) const HEADER: u64 = 0x70;
    pub(crate) const DELIVERY_ANNOTATIONS: u64 = 0x71;
    pub(crate) const MESSAGE_ANNOTATIONS: u64 = 0x72;
    pub(crate) const PROPERTIES: u64 = 0x73;
    pub(crate) const APPLICATION_PROPERTIES: u64 = 0x74;
    pub(crate) const DATA: u64 = 0x75;
    pub(crate) const SEQUENCE: u64 = 0x76;
    pub(crate) const VALUE: u64 = 0x77;
    pub(crate) const FOOTER: u64 = 0x78;
}

/// Message format of a batch: each data section is an encoded message.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

const SCHEDULED: &str = "x-opt-scheduled-enqueue-time";

/// Annotations that the service sets; what a sender put there is ignored.
const SERVICE_KEYS: [&str; 10] = [
    "x-opt-enqueued-time",
    "x-opt-sequence-number",
    "x-opt-enqueue-sequence-number",
    "x-opt-locked-until",
    "x-opt-message-state",
    "x-opt-partition-id",
    "x-opt-deadletter-source",
    "x-opt-offset",
    "x-opt-lock-token",
    SCHEDULED,
];

/// Bytes that are no message.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A section is cut off.
    #[error("find the sections of a message")]
    Span(#[from] span::Error),
    /// A section cannot be decoded.
    #[error("decode a section of a message")]
    Codec(#[from] serde_amqp::Error),
    /// Something stands where a section should.
    #[error("message holds something that is not a section at byte {0}")]
    NotASection(usize),
}

/// The numeric descriptor at `at`, read without the codec because it comes with every section.
fn section_code(bytes: &[u8], at: usize) -> Option<u64> {
    match bytes.get(at..)? {
        [0x00, 0x53, code, ..] => Some(u64::from(*code)),
        [0x00, 0x80, rest @ ..] => rest.first_chunk::<8>().map(|code| u64::from_be_bytes(*code)),
        _ => None,
    }
}

fn decode_section(bytes: &[u8]) -> Result<Value, Error> {
    let value = span::decode(bytes)?;
    Ok(undescribe(value).map(|(_, value)| value).unwrap_or_default())
}

/// Decodes a message; the body stays encoded.
pub(crate) fn decode(bytes: &Bytes) -> Result<Message, Error> {
    let mut message = Message::default();
    let mut bare_start = None;
    let mut body_start = None;
    let mut at = 0;
    while at < bytes.len() {
        let code = section_code(bytes, at).ok_or(Error::NotASection(at))?;
        let end = span::end(bytes, at)?;
        let whole = &bytes[at..end];
        match code {
            section::HEADER => read_header(&mut message, &fields(decode_section(whole)?)),
            section::DELIVERY_ANNOTATIONS => {}
            section::MESSAGE_ANNOTATIONS => read_annotations(&mut message, decode_section(whole)?),
            section::PROPERTIES => {
                bare_start.get_or_insert(at);
                message.properties = Properties::from_fields(fields(decode_section(whole)?));
            }
            section::APPLICATION_PROPERTIES => {
                bare_start.get_or_insert(at);
                message.application_properties = entries(decode_section(whole)?);
            }
            section::DATA | section::SEQUENCE | section::VALUE | section::FOOTER => {
                bare_start.get_or_insert(at);
                body_start.get_or_insert(at);
            }
            _ => return Err(Error::NotASection(at)),
        }
        at = end;
    }
    message.body = bytes.slice(body_start.unwrap_or(bytes.len())..);
    message.encoded = Some(bytes.slice(bare_start.unwrap_or(bytes.len())..));
    Ok(message)
}

fn read_header(message: &mut Message, fields: &[Value]) {
    message.durable = fields.first().and_then(|value| match value {
        Value::Bool(durable) => Some(*durable),
        _ => None,
    });
    let number = |index: usize| fields.get(index).and_then(number);
    message.priority = number(1).and_then(|priority| u8::try_from(priority).ok());
    message.ttl = number(2).and_then(|ttl| u64::try_from(ttl).ok()).map(Duration::from_millis);
}

fn read_annotations(message: &mut Message, annotations: Value) {
    for (key, value) in entries(annotations) {
        if key == SCHEDULED {
            message.scheduled = number(&value).map(Time::from_millis);
        }
        if !SERVICE_KEYS.contains(&key.as_str()) {
            message.annotations.push((key, value));
        }
    }
}

/// The messages in a transfer: one, or those of a batch.
pub(crate) fn decode_transfer(format: u32, bytes: &Bytes) -> Result<Vec<Message>, Error> {
    if format != BATCH_FORMAT {
        return Ok(vec![decode(bytes)?]);
    }
    let envelope = decode(bytes)?;
    data_sections(&envelope.body)?.iter().map(decode).collect()
}

/// The contents of the data sections of an encoded body.
pub(crate) fn data_sections(body: &Bytes) -> Result<Vec<Bytes>, Error> {
    let mut sections = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let end = span::end(body, at)?;
        if section_code(body, at) == Some(section::DATA) {
            let value = decode_section(&body[at..end])?;
            if let Some(content) = binary_bytes(&value) {
                sections.push(Bytes::copy_from_slice(content));
            }
        }
        at = end;
    }
    Ok(sections)
}

/// Encodes a message as it is handed out.
pub(crate) fn encode_delivery(delivery: &Delivery, broken: Broken) -> Vec<u8> {
    let mut out = encode_header(&delivery.view, broken);
    let token = [(symbol("x-opt-lock-token"), uuid(delivery.token))];
    append_map(&mut out, section::DELIVERY_ANNOTATIONS, token);
    append_rest(&mut out, &delivery.view);
    out
}

/// Encodes a message as a look at it shows it: without lock.
pub(crate) fn encode_view(view: &View, broken: Broken) -> Vec<u8> {
    let mut out = encode_header(view, broken);
    append_rest(&mut out, &View { locked_until: None, ..view.clone() });
    out
}

fn encode_header(view: &View, broken: Broken) -> Vec<u8> {
    let message = &view.message;
    let ttl = view.expires.map(|at| view.enqueued.until(at)).or(message.ttl);
    let ttl = ttl.and_then(|ttl| u32::try_from(ttl.as_millis()).ok());
    let mut header = vec![
        message.durable.map_or(Value::Null, Value::Bool),
        message.priority.map_or(Value::Null, Value::Ubyte),
        ttl.map_or(Value::Null, Value::Uint),
        Value::Null,
    ];
    // Always there, even when 0: clients read an absent count as unknown.
    if !broken.is(Breakage::NoDeliveryCount) {
        header.push(Value::Uint(view.delivery_count));
    }
    encode(&described(section::HEADER, Value::List(header)))
}

fn append_map(out: &mut Vec<u8>, code: u64, pairs: impl IntoIterator<Item = (Value, Value)>) {
    out.extend(encode(&described(code, super::value::map(pairs))));
}

fn append_rest(out: &mut Vec<u8>, view: &View) {
    append_map(out, section::MESSAGE_ANNOTATIONS, annotations(view));
    let message = &view.message;
    if let Some(encoded) = &message.encoded {
        out.extend_from_slice(encoded);
        return;
    }
    out.extend(encode_bare(message));
}

/// Encodes properties, application properties and body afresh.
pub(crate) fn encode_bare(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    let properties = message.properties.fields();
    if !properties.is_empty() {
        out.extend(encode(&described(section::PROPERTIES, Value::List(properties.to_vec()))));
    }
    if !message.application_properties.is_empty() {
        let mut map = OrderedMap::new();
        for (name, value) in &message.application_properties {
            map.insert(Value::String(name.clone()), value.clone());
        }
        out.extend(encode(&described(section::APPLICATION_PROPERTIES, Value::Map(map))));
    }
    out.extend_from_slice(&message.body);
    out
}

fn annotations(view: &View) -> Vec<(Value, Value)> {
    let message = &view.message;
    let state = match view.hold {
        Hold::Active => 0,
        Hold::Deferred => 1,
        Hold::Scheduled(_) => 2,
    };
    let mut pairs = vec![
        (symbol("x-opt-enqueued-time"), timestamp(view.enqueued)),
        (symbol("x-opt-sequence-number"), Value::Long(view.sequence)),
        (symbol("x-opt-enqueue-sequence-number"), Value::Long(view.first_sequence)),
        (symbol("x-opt-message-state"), Value::Int(state)),
    ];
    if let Some(until) = view.locked_until {
        pairs.push((symbol("x-opt-locked-until"), timestamp(until)));
    }
    if let Some(at) = message.scheduled {
        pairs.push((symbol(SCHEDULED), timestamp(at)));
    }
    if let Some(source) = &view.dead_letter_source {
        pairs.push((symbol("x-opt-deadletter-source"), Value::String(source.clone())));
    }
    pairs.extend(message.annotations.iter().map(|(key, value)| (symbol(key), value.clone())));
    pairs
}

/// What a request on `$cbs` or `$management` says.
#[derive(Debug)]
pub(crate) struct Request {
    /// In its wire type, to be given back as it came.
    pub(crate) message_id: Value,
    pub(crate) reply_to: Option<String>,
    pub(crate) properties: Vec<(String, Value)>,
    /// The value of the body; null if there is none.
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let message = decode(bytes)?;
        let body = match section_code(&message.body, 0) {
            Some(section::VALUE) => decode_section(&message.body[..span::end(&message.body, 0)?])?,
            _ => Value::Null,
        };
        Ok(Self {
            message_id: message.properties.message_id().cloned().unwrap_or_default(),
            reply_to: message.properties.reply_to().map(str::to_owned),
            properties: message.application_properties,
            body,
        })
    }

    /// A textual application property.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == name).and_then(|(_, value)| text(value))
    }
}

/// Encodes an answer to a request.
pub(crate) fn encode_answer(
    correlation_id: Value,
    properties: impl IntoIterator<Item = (Value, Value)>,
    body: Option<Value>,
    broken: Broken,
) -> Vec<u8> {
    let correlation_id = match correlation_id {
        id if broken.is(Breakage::CorrelationAsString) => Value::String(id_text(&id)),
        id => id,
    };
    let mut fields = vec![Value::Null; 5];
    fields.push(correlation_id);
    let mut out = encode(&described(section::PROPERTIES, Value::List(fields)));
    append_map(&mut out, section::APPLICATION_PROPERTIES, properties);
    if let Some(body) = body {
        out.extend(encode(&described(section::VALUE, body)));
    }
    out
}
