//! Short ways to make and to read AMQP values.

use serde_amqp::{
    Value,
    described::Described,
    descriptor::Descriptor,
    primitives::{Array, Binary, OrderedMap, Symbol, Timestamp, Uuid as AmqpUuid},
};

use uuid::Uuid;

use crate::broker::Time;

pub(crate) fn symbol(text: &str) -> Value {
    Value::Symbol(Symbol::from(text))
}

pub(crate) fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> Value {
    Value::Binary(Binary::from(bytes.into()))
}

pub(crate) fn timestamp(time: Time) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(time.millis()))
}

/// A uuid in RFC byte order.
pub(crate) fn uuid(id: Uuid) -> Value {
    Value::Uuid(AmqpUuid::from(*id.as_bytes()))
}

/// An array; all elements must be of one type.
pub(crate) fn array(items: Vec<Value>) -> Value {
    Value::Array(Array(items))
}

/// A map in the given order.
pub(crate) fn map(entries: impl IntoIterator<Item = (Value, Value)>) -> Value {
    let mut map = OrderedMap::new();
    for (key, value) in entries {
        map.insert(key, value);
    }
    Value::Map(map)
}

/// A value with a numeric descriptor.
pub(crate) fn described(code: u64, value: Value) -> Value {
    Value::Described(Box::new(Described { descriptor: Descriptor::Code(code), value }))
}

/// The numeric descriptor and the value of a described value.
pub(crate) fn undescribe(value: Value) -> Option<(u64, Value)> {
    match value {
        Value::Described(described) => {
            let described = *described;
            match described.descriptor {
                Descriptor::Code(code) => Some((code, described.value)),
                Descriptor::Name(_) => None,
            }
        }
        _ => None,
    }
}

/// The fields of a list.
pub(crate) fn fields(value: Value) -> Vec<Value> {
    match value {
        Value::List(fields) => fields,
        _ => Vec::new(),
    }
}

/// The elements of a list or an array.
pub(crate) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        Value::Array(items) => &items.0,
        _ => &[],
    }
}

/// Text of a string or a symbol.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(symbol) => Some(symbol.as_str()),
        _ => None,
    }
}

/// A whole number of any width.
pub(crate) fn number(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Ubyte(number) => i64::from(*number),
        Value::Ushort(number) => i64::from(*number),
        Value::Uint(number) => i64::from(*number),
        Value::Ulong(number) => i64::try_from(*number).ok()?,
        Value::Byte(number) => i64::from(*number),
        Value::Short(number) => i64::from(*number),
        Value::Int(number) => i64::from(*number),
        Value::Long(number) => *number,
        Value::Timestamp(at) => at.milliseconds(),
        _ => return None,
    })
}

/// Bytes of a binary.
pub(crate) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Binary(bytes) => Some(bytes),
        _ => None,
    }
}

pub(crate) fn as_uuid(value: &Value) -> Option<Uuid> {
    match value {
        Value::Uuid(id) => Some(Uuid::from_bytes(*id.as_inner())),
        _ => None,
    }
}

/// The value under a key that may be written as a string or as a symbol.
pub(crate) fn entry<'a>(map: &'a Value, key: &str) -> Option<&'a Value> {
    match map {
        Value::Map(map) => map
            .iter()
            .find(|(known, _)| text(known) == Some(key))
            .map(|(_, value)| value)
            .filter(|value| **value != Value::Null),
        _ => None,
    }
}

/// The entries of a map whose keys are text, in order.
pub(crate) fn entries(map: Value) -> Vec<(String, Value)> {
    match map {
        Value::Map(map) => map
            .into_inner()
            .into_iter()
            .filter_map(|(key, value)| Some((text(&key)?.to_owned(), value)))
            .collect(),
        _ => Vec::new(),
    }
}

/// Encodes a value. Every value that this server makes can be encoded.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    serde_amqp::to_vec(value).unwrap_or_default()
}
