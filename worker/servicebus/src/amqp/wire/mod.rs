//! From encoded messages to ours.
//!
//! No message is decoded by the protocol library, which does it by recursion. Its sections are found, looked at
//! down to the bottom and read here, scalar by scalar. A message in which something is wrong becomes one without a
//! body that says what; what lies beside the damage, its number above all, is read all the same, so that it can be
//! dead-lettered, shown and removed like any other.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::DeliveryTag;
use jiff::Timestamp;
use shared::ids::{DeliveryCount, LockToken, SequenceNumber};
use uuid::Uuid;

use super::{
    scan::Encoded,
    sections::{Body, Sections},
};
use crate::message::{
    ApplicationProperties, ApplicationValue, Damage, Message, Peeked, PeekedState, UnreadableBody,
};

#[cfg(test)]
mod tests;

const SEQUENCE: &str = "x-opt-sequence-number";
const ENQUEUED: &str = "x-opt-enqueued-time";
const LOCKED_UNTIL: &str = "x-opt-locked-until";
const LOCK_TOKEN: &str = "x-opt-lock-token";
const STATE: &str = "x-opt-message-state";
pub(super) const SCHEDULED_FOR: &str = "x-opt-scheduled-enqueue-time";

/// Most application properties of a message. Dataverse writes fewer than twenty.
const MOST_PROPERTIES: usize = 1_000;
/// Longest name of one, in bytes.
const LONGEST_NAME: usize = 1_024;
/// What the names of the properties begin with that are kept of a message that cannot be taken apart: what Service
/// Bus and we wrote on it.
const KEPT: [&str; 2] = ["DeadLetter", "contactsync-"];

/// What an encoded message says.
pub(super) struct Read {
    pub(super) message: Message,
    /// The token of its lock, if the service wrote one on it.
    lock: Option<LockToken>,
    /// Until when its lock holds, by the clock of the service.
    pub(super) locked_until: Option<Timestamp>,
    state: PeekedState,
    scheduled_for: Option<Timestamp>,
}

impl Read {
    /// Reads a message, whatever is wrong with it.
    pub(super) fn of(encoded: &Bytes) -> Self {
        let sections = Sections::of(encoded);
        let annotation = |name| entry(sections.annotations, name);
        let field = |at: usize| sections.properties.and_then(|list| list.items().nth(at));
        let text = |at| field(at).and_then(Encoded::text).map(Into::into);
        let id = |at| field(at).and_then(id_text);
        let counted = || sections.header?.items().nth(4)?.unsigned();
        let delivery_count = counted().and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
        let (properties, improper) = properties(sections.application_properties, sections.damage.is_some());
        let damage = sections.damage.or(improper);
        let message = Message {
            sequence: SequenceNumber(annotation(SEQUENCE).and_then(Encoded::signed).unwrap_or_default()),
            delivery_count: DeliveryCount(delivery_count),
            enqueued: annotation(ENQUEUED).and_then(time),
            message_id: id(0),
            correlation_id: id(5),
            content_type: text(6),
            subject: text(3),
            session_id: text(10),
            properties,
            body: match damage {
                Some(damage) => Err(UnreadableBody::Message(damage)),
                None => body(&sections.body, encoded),
            },
            encoded: damage.map(|_| encoded.clone()),
        };
        Self {
            message,
            lock: entry(sections.delivery_annotations, LOCK_TOKEN).and_then(Encoded::uuid).map(LockToken),
            locked_until: annotation(LOCKED_UNTIL).and_then(time),
            state: match annotation(STATE).and_then(Encoded::signed) {
                Some(1) => PeekedState::Deferred,
                Some(2) => PeekedState::Scheduled,
                _ => PeekedState::Active,
            },
            scheduled_for: annotation(SCHEDULED_FOR).and_then(time),
        }
    }

    /// The lock token of a delivery: the service's annotation if there is one, else the delivery tag, which is the
    /// GUID in the byte order of .NET (the first three groups reversed).
    pub(super) fn lock_token(&self, tag: &DeliveryTag) -> Option<LockToken> {
        let by_tag = || <[u8; 16]>::try_from(tag.as_ref()).ok().map(Uuid::from_bytes_le).map(LockToken);
        self.lock.or_else(by_tag)
    }
}

/// Takes a peeked message over from its encoded form; its number is 0 if the message does not tell it.
pub(super) fn peeked(encoded: &Bytes) -> Peeked {
    let read = Read::of(encoded);
    Peeked { state: read.state, scheduled_for: read.scheduled_for, message: read.message }
}

/// The value under a name in a section.
pub(super) fn entry<'a>(section: Option<Encoded<'a>>, name: &str) -> Option<Encoded<'a>> {
    section?.pairs().find(|(key, _)| key.is(name)).map(|(_, value)| value)
}

/// Times come as timestamps; a message that was received and sent on may carry them as plain numbers.
fn time(value: Encoded<'_>) -> Option<Timestamp> {
    Timestamp::from_millisecond(value.signed()?).ok()
}

fn id_text(id: Encoded<'_>) -> Option<Box<str>> {
    if let Some(text) = id.text() {
        return Some(text.into());
    }
    if let Some(id) = id.uuid() {
        return Some(id.to_string().into());
    }
    if let Some(bytes) = id.binary() {
        return Some(match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Uuid::from_bytes_le(bytes).to_string().into(),
            Err(_) => String::from_utf8_lossy(bytes).into(),
        });
    }
    id.unsigned().map(|number| number.to_string().into())
}

fn body(body: &Body<'_>, encoded: &Bytes) -> Result<Bytes, UnreadableBody> {
    // Taken over without a copy.
    let part = |bytes: &[u8]| if bytes.is_empty() { Bytes::new() } else { encoded.slice_ref(bytes) };
    match body {
        Body::Empty => Ok(Bytes::new()),
        Body::Data(runs) => match &runs[..] {
            [one] => Ok(part(one)),
            many => Ok(many.concat().into()),
        },
        Body::Sequence => Err(UnreadableBody::Sequence),
        Body::Value(value) if value.is_null() => Ok(Bytes::new()),
        Body::Value(value) => match (value.binary(), value.is_string()) {
            (Some(bytes), _) => Ok(part(bytes)),
            (None, true) => Ok(part(value.contents())),
            (None, false) => Err(UnreadableBody::Value),
        },
    }
}

/// Application properties; of a message that cannot be taken apart only those that tell why it lies where it does.
fn properties(section: Option<Encoded<'_>>, damaged: bool) -> (ApplicationProperties, Option<Damage>) {
    let Some(section) = section else { return (ApplicationProperties::default(), None) };
    let improper = if section.count() / 2 > MOST_PROPERTIES {
        Some(Damage::Properties)
    } else {
        section.pairs().find_map(|(name, value)| fault(name, value))
    };
    let readable = section.pairs().filter_map(|(name, value)| Some((name.text()?, property(value)?)));
    let properties = if damaged || improper.is_some() {
        let kept = |name: &str| KEPT.iter().any(|start| name.starts_with(start));
        readable.filter(|(name, _)| name.len() <= LONGEST_NAME && kept(name)).take(MOST_PROPERTIES).collect()
    } else {
        readable.collect()
    };
    (properties, improper)
}

fn fault(name: Encoded<'_>, value: Encoded<'_>) -> Option<Damage> {
    match name.text() {
        Some(name) if name.len() > LONGEST_NAME => Some(Damage::Name),
        Some(_) if is_simple(value) => None,
        Some(_) | None => Some(Damage::Property),
    }
}

fn is_simple(value: Encoded<'_>) -> bool {
    value.code < 0xc0 && value.code != 0x45
}

fn property(value: Encoded<'_>) -> Option<ApplicationValue> {
    let bytes = || Bytes::copy_from_slice(value.contents());
    Some(match value.code {
        // Kept as it is encoded.
        0x00 => ApplicationValue::Described(bytes()),
        0x40 => ApplicationValue::Null,
        0x41 | 0x42 | 0x56 => ApplicationValue::Bool(value.bool()?),
        0x43 | 0x52 | 0x70 => ApplicationValue::U32(u32::try_from(value.unsigned()?).ok()?),
        0x44 | 0x53 | 0x80 => ApplicationValue::U64(value.unsigned()?),
        0x50 => ApplicationValue::U8(u8::try_from(value.unsigned()?).ok()?),
        0x51 => ApplicationValue::I8(i8::try_from(value.signed()?).ok()?),
        0x54 | 0x71 => ApplicationValue::I32(i32::try_from(value.signed()?).ok()?),
        0x55 | 0x81 => ApplicationValue::I64(value.signed()?),
        0x60 => ApplicationValue::U16(u16::try_from(value.unsigned()?).ok()?),
        0x61 => ApplicationValue::I16(i16::try_from(value.signed()?).ok()?),
        0x72 => ApplicationValue::F32(f32::from_bits(u32::try_from(value.bits()).ok()?)),
        0x73 => ApplicationValue::Char(char::from_u32(u32::try_from(value.bits()).ok()?)?),
        0x82 => ApplicationValue::F64(f64::from_bits(value.bits())),
        0x83 => ApplicationValue::Time(value.signed()?),
        0x74 | 0x84 | 0x94 => ApplicationValue::Decimal(bytes()),
        0x98 => ApplicationValue::Uuid(value.uuid()?),
        0xa0 | 0xb0 => ApplicationValue::Binary(bytes()),
        0xa1 | 0xb1 => ApplicationValue::Text(value.text()?.into()),
        0xa3 | 0xb3 => ApplicationValue::Symbol(value.text()?.into()),
        _ => return None,
    })
}
