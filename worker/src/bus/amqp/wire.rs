//! Between AMQP messages and ours.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::DeliveryTag;
use fe2o3_amqp_types::messaging::annotations::AnnotationKey;
use fe2o3_amqp_types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp_types::messaging::{
    self as amqp, Annotations, ApplicationProperties, Body, Data, MessageAnnotations, MessageId,
};
use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use serde_amqp::lazy::LazyValue;
use serde_amqp::primitives::{Dec32, Dec64, Dec128, OrderedMap};
use serde_amqp::{Value, primitives as prim};
use shared::ids::{DeliveryCount, LockToken, SequenceNumber};
use uuid::Uuid;

use crate::bus::message::{Message, Outgoing, Peeked, PeekedState, Properties, Property, UnreadableBody};

/// The body is read lazily: a typed value is not taken apart unless it turns out to be bytes or text, so that
/// deep nesting costs nothing.
pub(super) type WireBody = Body<LazyValue>;
/// A message as the protocol library hands it out.
pub(super) type WireMessage = amqp::Message<WireBody>;

const SEQUENCE: &str = "x-opt-sequence-number";
const ENQUEUED: &str = "x-opt-enqueued-time";
const LOCKED_UNTIL: &str = "x-opt-locked-until";
const LOCK_TOKEN: &str = "x-opt-lock-token";
const STATE: &str = "x-opt-message-state";
const SCHEDULED_FOR: &str = "x-opt-scheduled-enqueue-time";

/// The lock token of a delivery: the service's annotation if there is one, else the delivery tag, which is the
/// GUID in the byte order of .NET (the first three groups reversed).
pub(super) fn lock_token(message: Option<&WireMessage>, tag: &DeliveryTag) -> Option<LockToken> {
    let annotated =
        message.and_then(|message| message.delivery_annotations.as_ref()).and_then(|annotations| {
            match annotation(&annotations.0, LOCK_TOKEN)? {
                Value::Uuid(id) => Some(Uuid::from_bytes(*id.as_inner())),
                _ => None,
            }
        });
    annotated.or_else(|| <[u8; 16]>::try_from(tag.as_ref()).ok().map(Uuid::from_bytes_le)).map(LockToken)
}

/// Until when the lock of a delivery holds, if the service said so.
pub(super) fn locked_until(message: &WireMessage) -> Option<Timestamp> {
    time(annotation(&message.message_annotations.as_ref()?.0, LOCKED_UNTIL)?)
}

/// Takes a received message over.
pub(super) fn message(wire: WireMessage) -> Message {
    let annotations = wire.message_annotations.map(|section| section.0);
    let annotation = |key| annotations.as_ref().and_then(|annotations| annotation(annotations, key));
    let properties = wire.properties.unwrap_or_default();
    Message {
        sequence: SequenceNumber(annotation(SEQUENCE).and_then(number).unwrap_or_default()),
        delivery_count: DeliveryCount(wire.header.map_or(0, |header| header.delivery_count)),
        enqueued: annotation(ENQUEUED).and_then(time),
        message_id: properties.message_id.map(id_text),
        correlation_id: properties.correlation_id.map(id_text),
        content_type: properties.content_type.map(|symbol| symbol.0.into()),
        subject: properties.subject.map(Into::into),
        session_id: properties.group_id.map(Into::into),
        properties: wire.application_properties.map(application_properties).unwrap_or_default(),
        body: body(wire.body),
    }
}

/// Takes a peeked message over from its encoded form.
pub(super) fn peeked(encoded: &[u8]) -> Option<Peeked> {
    let reader = serde_amqp::read::SliceReader::new(encoded);
    let wire = WireBody::decode_message_from_reader(reader).ok()?;
    let annotations = wire.message_annotations.as_ref().map(|section| &section.0);
    let annotation = |key| annotations.and_then(|annotations| annotation(annotations, key));
    let state = match annotation(STATE).and_then(number) {
        Some(1) => PeekedState::Deferred,
        Some(2) => PeekedState::Scheduled,
        _ => PeekedState::Active,
    };
    let scheduled_for = annotation(SCHEDULED_FOR).and_then(time);
    Some(Peeked { state, scheduled_for, message: message(wire) })
}

/// Encodes a message to be sent, visible from `at` on if given.
pub(super) fn outgoing(message: &Outgoing, at: Option<Timestamp>) -> amqp::Message<Data> {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let properties = amqp::Properties {
        message_id: text(&message.message_id).map(MessageId::String),
        correlation_id: text(&message.correlation_id).map(MessageId::String),
        content_type: message.content_type.as_deref().map(prim::Symbol::from),
        subject: text(&message.subject),
        group_id: text(&message.session_id),
        ..amqp::Properties::default()
    };
    let annotations = at.map(|at| {
        let mut annotations = Annotations::new();
        let time = prim::Timestamp::from_milliseconds(at.as_millisecond());
        annotations.insert(SCHEDULED_FOR.into(), Value::Timestamp(time));
        MessageAnnotations(annotations)
    });
    let mut application = OrderedMap::new();
    for (name, value) in message.properties.iter() {
        application.insert(name.to_owned(), simple_value(value));
    }
    amqp::Message {
        header: Some(amqp::Header { durable: true, ..amqp::Header::default() }),
        delivery_annotations: None,
        message_annotations: annotations,
        properties: Some(properties),
        application_properties: (!application.is_empty()).then_some(ApplicationProperties(application)),
        body: Data(message.body.to_vec().into()),
        footer: None,
    }
}

fn annotation<'a>(annotations: &'a Annotations, key: &'static str) -> Option<&'a Value> {
    annotations.get(&key as &dyn AnnotationKey)
}

/// Times come as timestamps; a message that was received and sent on may carry them as plain numbers.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Timestamp(time) => Timestamp::from_millisecond(time.milliseconds()).ok(),
        other => Timestamp::from_millisecond(number(other)?).ok(),
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Long(number) => Some(*number),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Ulong(number) => i64::try_from(*number).ok(),
        Value::Uint(number) => Some(i64::from(*number)),
        _ => None,
    }
}

fn id_text(id: MessageId) -> Box<str> {
    match id {
        MessageId::String(text) => text.into(),
        MessageId::Ulong(number) => number.to_string().into(),
        MessageId::Uuid(id) => Uuid::from_bytes(*id.as_inner()).to_string().into(),
        MessageId::Binary(bytes) => match <[u8; 16]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Uuid::from_bytes_le(bytes).to_string().into(),
            Err(_) => String::from_utf8_lossy(&bytes).into(),
        },
    }
}

fn body(body: WireBody) -> Result<Bytes, UnreadableBody> {
    match body {
        Body::Empty => Ok(Bytes::new()),
        Body::Sequence(_) => Err(UnreadableBody::Sequence),
        Body::Data(sections) => {
            let mut sections = sections.into_iter().map(|section| section.0.into_vec());
            let first = sections.next().unwrap_or_default();
            // One section is the rule and is taken over without a copy.
            Ok(sections
                .fold(first, |mut whole, section| {
                    whole.extend(section);
                    whole
                })
                .into())
        }
        Body::Value(value) => {
            let encoded = value.0.as_slice();
            match encoded.first() {
                Some(0x40) | None => Ok(Bytes::new()),
                Some(0xa0 | 0xb0) => serde_amqp::from_slice::<prim::Binary>(encoded)
                    .map(|bytes| bytes.into_vec().into())
                    .map_err(|_| UnreadableBody::Message),
                Some(0xa1 | 0xb1) => serde_amqp::from_slice::<String>(encoded)
                    .map(Bytes::from)
                    .map_err(|_| UnreadableBody::Message),
                Some(_) => Err(UnreadableBody::Value),
            }
        }
    }
}

fn application_properties(section: ApplicationProperties) -> Properties {
    section.0.into_iter().map(|(name, value)| (name, property(value))).collect()
}

fn property(value: SimpleValue) -> Property {
    use SimpleValue as V;
    match value {
        V::Null => Property::Null,
        V::Bool(value) => Property::Bool(value),
        V::Ubyte(value) => Property::U8(value),
        V::Ushort(value) => Property::U16(value),
        V::Uint(value) => Property::U32(value),
        V::Ulong(value) => Property::U64(value),
        V::Byte(value) => Property::I8(value),
        V::Short(value) => Property::I16(value),
        V::Int(value) => Property::I32(value),
        V::Long(value) => Property::I64(value),
        V::Float(value) => Property::F32(value.into_inner()),
        V::Double(value) => Property::F64(value.into_inner()),
        V::Decimal32(value) => Property::Decimal(Bytes::copy_from_slice(&value.into_inner())),
        V::Decimal64(value) => Property::Decimal(Bytes::copy_from_slice(&value.into_inner())),
        V::Decimal128(value) => Property::Decimal(Bytes::copy_from_slice(&value.into_inner())),
        V::Char(value) => Property::Char(value),
        V::Timestamp(value) => Property::Time(value.milliseconds()),
        V::Uuid(value) => Property::Uuid(Uuid::from_bytes(*value.as_inner())),
        V::Binary(value) => Property::Binary(value.into_vec().into()),
        V::String(value) => Property::Text(value.into()),
        V::Symbol(value) => Property::Symbol(value.0.into()),
        described @ V::Described(_) => {
            // Decoded a moment ago, so it can be encoded; nothing is the answer if the library disagrees.
            serde_amqp::to_vec(&described)
                .map_or(Property::Null, |encoded| Property::Described(encoded.into()))
        }
    }
}

fn simple_value(property: &Property) -> SimpleValue {
    use SimpleValue as V;
    match property {
        Property::Null => V::Null,
        Property::Bool(value) => V::Bool(*value),
        Property::U8(value) => V::Ubyte(*value),
        Property::U16(value) => V::Ushort(*value),
        Property::U32(value) => V::Uint(*value),
        Property::U64(value) => V::Ulong(*value),
        Property::I8(value) => V::Byte(*value),
        Property::I16(value) => V::Short(*value),
        Property::I32(value) => V::Int(*value),
        Property::I64(value) => V::Long(*value),
        Property::F32(value) => V::Float((*value).into()),
        Property::F64(value) => V::Double((*value).into()),
        Property::Decimal(bytes) => decimal(bytes),
        Property::Char(value) => V::Char(*value),
        Property::Time(value) => V::Timestamp(prim::Timestamp::from_milliseconds(*value)),
        Property::Uuid(value) => V::Uuid(prim::Uuid::from(*value.as_bytes())),
        Property::Binary(bytes) => V::Binary(bytes.to_vec().into()),
        Property::Text(text) => V::String(text.to_string()),
        Property::Symbol(text) => V::Symbol(prim::Symbol::from(&**text)),
        Property::Described(encoded) => serde_amqp::from_slice(encoded).unwrap_or(V::Null),
    }
}

fn decimal(bytes: &[u8]) -> SimpleValue {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        SimpleValue::Decimal32(Dec32::from(bytes))
    } else if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
        SimpleValue::Decimal64(Dec64::from(bytes))
    } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        SimpleValue::Decimal128(Dec128::from(bytes))
    } else {
        // No other length is a decimal; what it was is better kept as bytes than dropped.
        SimpleValue::Binary(bytes.to_vec().into())
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::message::__private::Serializable;
    use fe2o3_amqp_types::messaging::{AmqpSequence, AmqpValue, Batch, DeliveryAnnotations};
    use serde_amqp::described::Described;
    use serde_amqp::descriptor::Descriptor;

    use super::*;

    const TOKEN: &str = "00112233-4455-6677-8899-aabbccddeeff";
    /// The same GUID as .NET writes its bytes.
    const TAG: [u8; 16] =
        [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

    fn bare<B>(body: B) -> amqp::Message<B> {
        amqp::Message {
            header: None,
            delivery_annotations: None,
            message_annotations: None,
            properties: None,
            application_properties: None,
            body,
            footer: None,
        }
    }

    fn over_the_wire<B: amqp::SerializableBody>(message: amqp::Message<B>) -> WireMessage {
        let encoded = serde_amqp::to_vec(&Serializable(message)).expect("encodes");
        WireBody::decode_message_from_reader(serde_amqp::read::SliceReader::new(&encoded)).expect("decodes")
    }

    #[track_caller]
    fn check_body<B: amqp::SerializableBody>(body: B, expected: Result<&'static [u8], UnreadableBody>) {
        assert_eq!(message(over_the_wire(bare(body))).body, expected.map(Bytes::from_static));
    }

    #[test]
    fn the_lock_token_is_the_tag_in_the_byte_order_of_dotnet() {
        let token = lock_token(None, &DeliveryTag::from(TAG.to_vec())).expect("a token");
        assert_eq!(token.to_string(), TOKEN);
    }

    #[test]
    fn an_annotated_lock_token_goes_before_the_tag() {
        let id = Uuid::parse_str(TOKEN).expect("a guid");
        let mut annotations = Annotations::new();
        annotations.insert(LOCK_TOKEN.into(), Value::Uuid(prim::Uuid::from(*id.as_bytes())));
        let mut wire = bare(Data(b"x".to_vec().into()));
        wire.delivery_annotations = Some(DeliveryAnnotations(annotations));
        let wire = over_the_wire(wire);
        let tag = DeliveryTag::from(vec![0; 16]);
        assert_eq!(lock_token(Some(&wire), &tag).expect("a token").to_string(), TOKEN);
    }

    #[test]
    fn a_tag_of_another_length_is_no_token() {
        assert_eq!(lock_token(None, &DeliveryTag::from(vec![0, 0, 0, 1])), None);
    }

    #[test]
    fn bytes_and_text_are_bodies_and_other_values_are_told_apart() {
        let binary = |bytes: &[u8]| prim::Binary::from(bytes.to_vec());
        check_body(Data(binary(b"{}")), Ok(b"{}"));
        check_body(Batch::new(vec![Data(binary(b"ab")), Data(binary(b"c")), Data(binary(b""))]), Ok(b"abc"));
        check_body(AmqpValue(Value::String("text".into())), Ok(b"text"));
        check_body(AmqpValue(Value::String("t".repeat(300))), Ok("t".repeat(300).leak().as_bytes()));
        check_body(AmqpValue(Value::Binary(binary(b"bin"))), Ok(b"bin"));
        check_body(AmqpValue(Value::Null), Ok(b""));
        check_body(AmqpValue(Value::Int(7)), Err(UnreadableBody::Value));
        check_body(AmqpValue(Value::List(vec![Value::Null])), Err(UnreadableBody::Value));
        check_body(AmqpSequence(vec![Value::Int(1)]), Err(UnreadableBody::Sequence));
    }

    #[test]
    fn what_the_service_adds_is_read() {
        let mut annotations = Annotations::new();
        annotations.insert(SEQUENCE.into(), Value::Long(42));
        annotations.insert(ENQUEUED.into(), Value::Timestamp(prim::Timestamp::from_milliseconds(1_000)));
        // A plain number, as in a message that was received and sent on.
        annotations.insert(LOCKED_UNTIL.into(), Value::Long(61_000));
        let mut wire = bare(Data(b"x".to_vec().into()));
        wire.header = Some(amqp::Header { delivery_count: 3, ..amqp::Header::default() });
        wire.message_annotations = Some(MessageAnnotations(annotations));
        let wire = over_the_wire(wire);
        assert_eq!(locked_until(&wire), Timestamp::from_second(61).ok());
        let message = message(wire);
        assert_eq!((message.sequence.0, message.delivery_count.0), (42, 3));
        assert_eq!(message.enqueued, Timestamp::from_second(1).ok());
    }

    #[test]
    fn ids_of_every_type_become_text() {
        for (id, expected) in [
            (MessageId::String("abc".into()), "abc"),
            (MessageId::Ulong(7), "7"),
            (MessageId::Uuid(prim::Uuid::from(*Uuid::parse_str(TOKEN).expect("a guid").as_bytes())), TOKEN),
            (MessageId::Binary(TAG.to_vec().into()), TOKEN),
            (MessageId::Binary(b"raw".to_vec().into()), "raw"),
        ] {
            assert_eq!(&*id_text(id), expected);
        }
    }

    #[test]
    fn a_message_sent_comes_back_as_it_was() {
        let described = SimpleValue::Described(Box::new(Described {
            descriptor: Descriptor::Name("com.microsoft:timespan".into()),
            value: Value::Long(600_000_000),
        }));
        let described = Property::Described(serde_amqp::to_vec(&described).expect("encodes").into());
        let sent = Outgoing {
            message_id: Some("id".into()),
            correlation_id: Some("correlation".into()),
            content_type: Some("application/json".into()),
            subject: Some("subject".into()),
            session_id: Some("session".into()),
            properties: [
                ("null", Property::Null),
                ("bool", Property::Bool(true)),
                ("u8", Property::U8(1)),
                ("u16", Property::U16(2)),
                ("u32", Property::U32(300)),
                ("u64", Property::U64(u64::MAX)),
                ("i8", Property::I8(-1)),
                ("i16", Property::I16(-2)),
                ("i32", Property::I32(-300)),
                ("i64", Property::I64(i64::MIN)),
                ("f32", Property::F32(1.5)),
                ("f64", Property::F64(-2.5)),
                ("decimal", Property::Decimal(Bytes::from_static(&[1; 16]))),
                ("char", Property::Char('ß')),
                ("time", Property::Time(-62_135_596_800_000)),
                ("uuid", Property::Uuid(Uuid::from_u128(5))),
                ("binary", Property::Binary(Bytes::from_static(b"\0\xff"))),
                ("text", Property::Text("text".into())),
                ("symbol", Property::Symbol("symbol".into())),
                ("described", described),
            ]
            .into_iter()
            .collect(),
            body: Bytes::from_static(b"body"),
        };
        let came = message(over_the_wire(outgoing(&sent, None)));
        assert_eq!(came.properties, sent.properties);
        let came = Outgoing {
            message_id: came.message_id,
            correlation_id: came.correlation_id,
            content_type: came.content_type,
            subject: came.subject,
            session_id: came.session_id,
            properties: came.properties,
            body: came.body.expect("readable"),
        };
        assert_eq!(came, sent);
    }

    #[test]
    fn a_scheduled_message_carries_its_time_and_is_peeked_as_such() {
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        let mut wire = outgoing(&Outgoing::default(), Some(at));
        if let Some(annotations) = &mut wire.message_annotations {
            annotations.0.insert(STATE.into(), Value::Int(2));
        }
        let encoded = serde_amqp::to_vec(&Serializable(wire)).expect("encodes");
        let peeked = peeked(&encoded).expect("decodes");
        assert_eq!((peeked.state, peeked.scheduled_for), (PeekedState::Scheduled, Some(at)));
    }

    #[test]
    fn a_damaged_message_is_no_peeked_message() {
        assert_eq!(peeked(&[0x00, 0x53, 0x75, 0xa0, 0x20, 0x01]), None);
    }
}
