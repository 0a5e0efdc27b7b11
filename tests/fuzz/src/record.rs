//! Lines of an export.

use servicebus::{ApplicationValue, Message};
use worker::operate::dead_letters::record::Record;

use crate::told;

/// A line that is read gives a message whose line is read as the same; one that is not is not repeated.
pub(crate) fn check(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes);
    match Record::parse(&line).and_then(Record::message) {
        Ok(message) => {
            let again = Record::of(&message).line().expect("any message is a line");
            assert_eq!(again.matches('\n').count(), 1, "one line each");
            let again = Record::parse(&again).and_then(Record::message).expect("our own line");
            assert_eq!(format!("{again:?}"), format!("{message:?}"));
        }
        Err(error) => assert!(told(&error).len() < 8 * line.len() + 1_000, "more words than the line has"),
    }
}

/// Lines of messages with every kind of property, and without a body.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut message = Message::default();
    message.properties.set("a", ApplicationValue::Text("text".into()));
    message.properties.set("b", ApplicationValue::F64(f64::NAN));
    message.properties.set("c", ApplicationValue::Char('ß'));
    message.properties.set("d", ApplicationValue::Uuid(uuid::Uuid::from_u128(7)));
    message.properties.set("e", ApplicationValue::Decimal(bytes::Bytes::from_static(&[1; 8])));
    message.properties.set("f", ApplicationValue::I64(-7));
    message.properties.set("g", ApplicationValue::U64(7));
    let full = Record::of(&message).line().unwrap_or_default();
    let bare = r#"{"sequence":1,"deliveryCount":2,"enqueued":9223372036854775807,"messageId":"a","correlationId":null,"contentType":null,"subject":null,"sessionId":null,"properties":[],"body":null}"#;
    vec![full.into_bytes(), bare.as_bytes().to_vec()]
}
