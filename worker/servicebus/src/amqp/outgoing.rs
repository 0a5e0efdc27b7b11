//! From our messages to those of the protocol.

use fe2o3_amqp_types::{
    messaging::{self as amqp, Annotations, ApplicationProperties, Data, MessageAnnotations, MessageId},
    primitives::SimpleValue,
};
use jiff::Timestamp;
use serde_amqp::{
    Value,
    primitives::{self as prim, Dec32, Dec64, Dec128, OrderedMap},
};

use super::{scan::check, wire::SCHEDULED_FOR};
use crate::message::{ApplicationValue, Outgoing};

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

fn simple_value(property: &ApplicationValue) -> SimpleValue {
    use SimpleValue as V;
    match property {
        ApplicationValue::Null => V::Null,
        ApplicationValue::Bool(value) => V::Bool(*value),
        ApplicationValue::U8(value) => V::Ubyte(*value),
        ApplicationValue::U16(value) => V::Ushort(*value),
        ApplicationValue::U32(value) => V::Uint(*value),
        ApplicationValue::U64(value) => V::Ulong(*value),
        ApplicationValue::I8(value) => V::Byte(*value),
        ApplicationValue::I16(value) => V::Short(*value),
        ApplicationValue::I32(value) => V::Int(*value),
        ApplicationValue::I64(value) => V::Long(*value),
        ApplicationValue::F32(value) => V::Float((*value).into()),
        ApplicationValue::F64(value) => V::Double((*value).into()),
        ApplicationValue::Decimal(bytes) => decimal(bytes),
        ApplicationValue::Char(value) => V::Char(*value),
        ApplicationValue::Time(value) => V::Timestamp(prim::Timestamp::from_milliseconds(*value)),
        ApplicationValue::Uuid(value) => V::Uuid(prim::Uuid::from(*value.as_bytes())),
        ApplicationValue::Binary(bytes) => V::Binary(bytes.to_vec().into()),
        ApplicationValue::Text(text) => V::String(text.to_string()),
        ApplicationValue::Symbol(text) => V::Symbol(prim::Symbol::from(&**text)),
        ApplicationValue::Described(encoded) => {
            // It may come from a file, where nobody has looked at it yet.
            let sound = check(encoded).is_ok_and(|length| length == encoded.len());
            sound.then(|| serde_amqp::from_slice(encoded).ok()).flatten().unwrap_or(V::Null)
        }
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
