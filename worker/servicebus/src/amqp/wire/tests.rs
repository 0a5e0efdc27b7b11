//! What is read off messages, against the library's encoder.

use fe2o3_amqp_types::{
    messaging::{
        self as amqp, AmqpSequence, AmqpValue, Annotations, Batch, Data, DeliveryAnnotations,
        MessageAnnotations, MessageId, message::__private::Serializable,
    },
    primitives::SimpleValue,
};
use serde_amqp::{Value, described::Described, descriptor::Descriptor, primitives as prim};

use super::*;
use crate::{amqp::outgoing::outgoing, message::Outgoing};

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

fn encoded<B: amqp::SerializableBody>(message: amqp::Message<B>) -> Bytes {
    serde_amqp::to_vec(&Serializable(message)).expect("encodes").into()
}

fn read<B: amqp::SerializableBody>(message: amqp::Message<B>) -> Read {
    Read::of(&encoded(message))
}

#[track_caller]
fn check_body<B: amqp::SerializableBody>(body: B, expected: Result<&'static [u8], UnreadableBody>) {
    assert_eq!(read(bare(body)).message.body, expected.map(Bytes::from_static));
}

#[test]
fn the_lock_token_is_the_tag_in_the_byte_order_of_dotnet() {
    let token = Read::of(&Bytes::new()).lock_token(&DeliveryTag::from(TAG.to_vec())).expect("a token");
    assert_eq!(token.to_string(), TOKEN);
}

#[test]
fn an_annotated_lock_token_goes_before_the_tag() {
    let id = Uuid::parse_str(TOKEN).expect("a guid");
    let mut annotations = Annotations::new();
    annotations.insert(LOCK_TOKEN.into(), Value::Uuid(prim::Uuid::from(*id.as_bytes())));
    let mut wire = bare(Data(b"x".to_vec().into()));
    wire.delivery_annotations = Some(DeliveryAnnotations(annotations));
    let tag = DeliveryTag::from(vec![0; 16]);
    assert_eq!(read(wire).lock_token(&tag).expect("a token").to_string(), TOKEN);
}

#[test]
fn a_tag_of_another_length_is_no_token() {
    assert_eq!(Read::of(&Bytes::new()).lock_token(&DeliveryTag::from(vec![0, 0, 0, 1])), None);
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
    let Read { message, locked_until, .. } = read(wire);
    assert_eq!(locked_until, Timestamp::from_second(61).ok());
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
        let properties = amqp::Properties { message_id: Some(id), ..amqp::Properties::default() };
        let mut wire = bare(Data(b"x".to_vec().into()));
        wire.properties = Some(properties);
        assert_eq!(read(wire).message.message_id.as_deref(), Some(expected));
    }
}

#[test]
fn a_message_sent_comes_back_as_it_was() {
    let described = SimpleValue::Described(Box::new(Described {
        descriptor: Descriptor::Name("com.microsoft:timespan".into()),
        value: Value::Long(600_000_000),
    }));
    let described = ApplicationValue::Described(serde_amqp::to_vec(&described).expect("encodes").into());
    let sent = Outgoing {
        message_id: Some("id".into()),
        correlation_id: Some("correlation".into()),
        content_type: Some("application/json".into()),
        subject: Some("subject".into()),
        session_id: Some("session".into()),
        properties: [
            ("null", ApplicationValue::Null),
            ("bool", ApplicationValue::Bool(true)),
            ("u8", ApplicationValue::U8(1)),
            ("u16", ApplicationValue::U16(2)),
            ("u32", ApplicationValue::U32(300)),
            ("u64", ApplicationValue::U64(u64::MAX)),
            ("i8", ApplicationValue::I8(-1)),
            ("i16", ApplicationValue::I16(-2)),
            ("i32", ApplicationValue::I32(-300)),
            ("i64", ApplicationValue::I64(i64::MIN)),
            ("f32", ApplicationValue::F32(1.5)),
            ("f64", ApplicationValue::F64(-2.5)),
            ("decimal", ApplicationValue::Decimal(Bytes::from_static(&[1; 16]))),
            ("char", ApplicationValue::Char('ß')),
            ("time", ApplicationValue::Time(-62_135_596_800_000)),
            ("uuid", ApplicationValue::Uuid(Uuid::from_u128(5))),
            ("binary", ApplicationValue::Binary(Bytes::from_static(b"\0\xff"))),
            ("text", ApplicationValue::Text("text".into())),
            ("symbol", ApplicationValue::Symbol("symbol".into())),
            ("described", described),
        ]
        .into_iter()
        .collect(),
        body: Bytes::from_static(b"body"),
    };
    let came = read(outgoing(&sent, None)).message;
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
    let peeked = peeked(&encoded(wire));
    assert_eq!((peeked.state, peeked.scheduled_for), (PeekedState::Scheduled, Some(at)));
}
