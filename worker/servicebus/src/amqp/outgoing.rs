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
use crate::message::{Outgoing, Property};

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
        Property::Described(encoded) => {
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
