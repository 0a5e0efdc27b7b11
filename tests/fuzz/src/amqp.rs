//! Messages and replies of AMQP.

use bytes::Bytes;
use servicebus::{
    ApplicationProperties, ApplicationValue, Message, Outgoing,
    amqp::fuzz::{self as amqp, Piece},
};
use worker::operate::dead_letters::record::Record;

/// Deeper than any message nests.
const DEEP: usize = 40;

/// A message of a link: what is kept of it is no larger than it was, and survives being sent on and exported.
pub(crate) fn message(encoded: &[u8]) {
    let message = amqp::message(encoded);
    is_bounded(&message, encoded.len());
    can_be_sent_on(&message);
    can_be_exported(&message);
}

/// A message that is looked at: the same as over a link.
pub(crate) fn peeked(encoded: &[u8]) {
    let peeked = amqp::peeked(encoded).message;
    can_be_exported(&peeked);
    let received = amqp::message(encoded);
    assert_eq!(format!("{received:?}"), format!("{peeked:?}"), "the two ways read differently");
}

/// A reply: it says no more than the service did.
pub(crate) fn reply(encoded: &[u8]) {
    match amqp::reply(encoded) {
        Ok((messages, locks)) => assert!(messages + locks <= encoded.len(), "more than there is room for"),
        Err(words) => assert!(words.len() < 8 * encoded.len() + 1_000, "more words than the service had"),
    }
}

/// Frames of the service, the first byte telling into what pieces they are cut: the protocol library sees the same,
/// however they come, and little that was not sent.
pub(crate) fn frames(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let (whole, breach) = amqp::stream(&[Piece::Received(bytes)]);
    // A limit that is set in an `attach` may take more bytes than the one that was there.
    assert!(whole.len() <= 2 * bytes.len() + 64, "frames out of nothing");
    let pieces: Vec<_> = bytes.chunks(usize::from(*cut).max(1)).map(Piece::Received).collect();
    assert_eq!(amqp::stream(&pieces), (whole, breach), "it depends on how the frames come");
}

fn is_bounded(message: &Message, length: usize) {
    let texts = [
        &message.message_id,
        &message.correlation_id,
        &message.content_type,
        &message.subject,
        &message.session_id,
    ];
    for text in texts.into_iter().flatten() {
        // A byte that is no text becomes a sign of three, and a GUID its 36 characters.
        assert!(text.len() <= 3 * length + 36, "a text of {} in {length} bytes", text.len());
    }
    let body = message.body.as_ref().map_or(0, Bytes::len);
    assert!(body <= length, "a body of {body} in {length} bytes");
    // Each takes a name and a value.
    assert!(message.properties.iter().len() <= length / 2, "too many properties for {length} bytes");
}

fn can_be_sent_on(message: &Message) {
    let Ok(body) = &message.body else { return };
    let copy = Outgoing {
        message_id: message.message_id.clone(),
        correlation_id: message.correlation_id.clone(),
        content_type: message.content_type.clone(),
        subject: message.subject.clone(),
        session_id: message.session_id.clone(),
        properties: message.properties.clone(),
        body: body.clone(),
    };
    let again = amqp::message(&amqp::encoded(&copy));
    let parts = |message: &Message| {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            message.message_id,
            message.correlation_id,
            message.content_type,
            message.subject,
            message.session_id,
            message.properties,
            message.body
        )
    };
    assert_eq!(parts(&again), parts(message), "a copy differs from its original");
}

fn can_be_exported(message: &Message) {
    let line = Record::of(message).line().expect("any message is a line");
    assert_eq!(line.matches('\n').count(), 1, "one line each");
    let again = Record::parse(&line).and_then(Record::message).expect("what we export can be read");
    assert_eq!(format!("{:?}", again.properties), format!("{:?}", message.properties));
    assert_eq!(again.body.is_ok(), message.body.is_ok());
    assert_eq!(again.encoded, message.encoded, "what cannot be taken apart is kept as it came");
}

/// Messages of every section and kind of value.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let properties: ApplicationProperties = [
        ("null", ApplicationValue::Null),
        ("bool", ApplicationValue::Bool(true)),
        ("u8", ApplicationValue::U8(200)),
        ("u16", ApplicationValue::U16(60_000)),
        ("u32", ApplicationValue::U32(70_000)),
        ("u64", ApplicationValue::U64(1 << 40)),
        ("i8", ApplicationValue::I8(-1)),
        ("i16", ApplicationValue::I16(-300)),
        ("i32", ApplicationValue::I32(-70_000)),
        ("i64", ApplicationValue::I64(-(1 << 40))),
        ("f32", ApplicationValue::F32(1.5)),
        ("f64", ApplicationValue::F64(2.5)),
        ("decimal", ApplicationValue::Decimal(Bytes::from_static(&[1; 16]))),
        ("char", ApplicationValue::Char('ß')),
        ("time", ApplicationValue::Time(1_767_225_600_000)),
        ("uuid", ApplicationValue::Uuid(uuid::Uuid::from_u128(7))),
        ("binary", ApplicationValue::Binary(Bytes::from_static(b"bytes"))),
        ("text", ApplicationValue::Text("text".into())),
        ("symbol", ApplicationValue::Symbol("symbol".into())),
    ]
    .into_iter()
    .collect();
    let full = Outgoing {
        message_id: Some("id".into()),
        correlation_id: Some("00112233-4455-6677-8899-aabbccddeeff".into()),
        content_type: Some("application/json".into()),
        subject: Some("subject".into()),
        session_id: Some("session".into()),
        properties,
        body: Bytes::from_static(b"{\"MessageName\":\"Update\"}"),
    };
    let sent = amqp::encoded(&full);
    let small = amqp::encoded(&Outgoing { body: Bytes::from_static(b"x"), ..Outgoing::default() });
    let mut seeds = vec![sent.clone(), small];
    // Message annotations as the service writes them, in front of what was sent.
    let annotations = section(
        0x72,
        &map(&[
            symbol("x-opt-sequence-number"),
            vec![0x55, 7],
            symbol("x-opt-enqueued-time"),
            [&[0x83][..], &1_767_225_600_000_i64.to_be_bytes()].concat(),
            symbol("x-opt-message-state"),
            vec![0x54, 2],
        ]),
    );
    seeds.push([annotations, sent].concat());
    let body_value = [b"\x00\x53\x77".to_vec(), map(&[text("a"), list(&[vec![0x40], vec![0x41]])])].concat();
    let sequence = [b"\x00\x53\x76".to_vec(), list(&[text("a"), vec![0x43]])].concat();
    let text_body = [b"\x00\x53\x77".to_vec(), text("text")].concat();
    seeds.extend([body_value, sequence, text_body]);
    // Every section with a value that nests, within what is allowed and beyond.
    for code in [0x71, 0x72, 0x73, 0x74, 0x77, 0x78] {
        for depth in [3, DEEP] {
            let mut nested = vec![0x40];
            for _ in 0..depth {
                nested = list(&[nested]);
            }
            seeds.push(section(code, &map(&[symbol("x-opt-deep"), nested.clone()])));
        }
    }
    seeds
}

/// Messages of one section that nests as deep as this, at three bytes a level: in place of the section's value, and
/// inside of it.
#[must_use]
pub fn deep(levels: usize) -> Vec<Vec<u8>> {
    let mut nested = b"\x00\x53\x70".repeat(levels);
    nested.push(0x40);
    let codes = [0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78];
    let inside = |code| section(code, &map(&[symbol("x-opt-deep"), nested.clone()]));
    codes.into_iter().flat_map(|code| [section(code, &nested), inside(code)]).collect()
}

/// Replies of `$cbs` and `$management`.
pub(crate) fn replies() -> Vec<Vec<u8>> {
    let reply = |status: u8, condition: &str, body: Vec<u8>| {
        let properties = map(&[
            text("statusCode"),
            vec![0x54, status],
            text("statusDescription"),
            text("words of the service"),
            text("errorCondition"),
            symbol(condition),
        ]);
        [section(0x74, &properties), b"\x00\x53\x77".to_vec(), body].concat()
    };
    let message = [&[0xa0, 5][..], b"bytes"].concat();
    let messages = map(&[text("messages"), list(&[map(&[text("message"), message])])]);
    // Negative as a byte, so that it is no success.
    vec![
        reply(100, "none", messages),
        reply(0x7f, "com.microsoft:message-lock-lost", vec![0x40]),
        reply(0x80, "amqp:not-found", map(&[text("expirations"), list(&[])])),
        section(0x74, &map(&[text("status-code"), [&[0x71][..], &202_i32.to_be_bytes()].concat()])),
        [
            section(0x74, &map(&[text("statusCode"), [&[0x71][..], &200_i32.to_be_bytes()].concat()])),
            b"\x00\x53\x77".to_vec(),
            map(&[text("expirations"), vec![0xe0, 10, 1, 0x83, 0, 0, 1, 0, 0, 0, 0, 0]]),
        ]
        .concat(),
    ]
}

/// The frames of a connection up to a message, each after the byte that says how they are cut.
pub(crate) fn conversations() -> Vec<Vec<u8>> {
    let frame = |code: u8, fields: &[Vec<u8>], payload: &[u8]| {
        let body = [section(code, &list(fields)), payload.to_vec()].concat();
        let length = u32::try_from(body.len() + 8).unwrap_or_default().to_be_bytes();
        [&length[..], &[2, 0, 0, 0], &body].concat()
    };
    let null = || vec![0x40];
    let open = frame(0x10, &[text("service"), null(), vec![0x70, 0, 1, 0, 0], vec![0x60, 0x13, 0x87]], b"");
    let begin = frame(0x11, &[vec![0x60, 0, 0], vec![0x52, 1], vec![0x52, 100], vec![0x52, 100]], b"");
    let source = section(0x28, &list(&[text("contacts")]));
    let size = [&[0x80][..], &262_144_u64.to_be_bytes()].concat();
    let attach = frame(
        0x12,
        &[
            text("link"),
            vec![0x43],
            vec![0x42],
            null(),
            null(),
            source,
            null(),
            null(),
            null(),
            vec![0x43],
            size,
        ],
        b"",
    );
    let flow = frame(0x13, &[vec![0x52, 1], vec![0x52, 100], vec![0x52, 1], vec![0x52, 100]], b"");
    let tag = [&[0xa0, 16][..], &[7; 16]].concat();
    let message = seeds().swap_remove(0);
    let transfer = frame(0x14, &[vec![0x43], vec![0x43], tag, vec![0x43], vec![0x42], vec![0x42]], &message);
    let error = section(0x1d, &list(&[symbol("amqp:not-found"), text("gone")]));
    let detach = frame(0x16, &[vec![0x43], vec![0x41], error.clone()], b"");
    let close = frame(0x18, &[error], b"");
    let header = b"AMQP\0\x01\0\0".to_vec();
    let all = [header, open, begin, attach, flow, transfer, detach, close].concat();
    vec![
        [&[1], &*all].concat(),
        [&[200], &*all].concat(),
        [&[7][..], b"AMQP\x03\x01\0\0\0\0\0\x04\x02\0\0\0"].concat(),
    ]
}

fn section(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code][..], value].concat()
}

fn symbol(text: &str) -> Vec<u8> {
    [&[0xa3, u8::try_from(text.len()).unwrap_or_default()][..], text.as_bytes()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[0xa1, u8::try_from(text.len()).unwrap_or_default()][..], text.as_bytes()].concat()
}

fn list(values: &[Vec<u8>]) -> Vec<u8> {
    compound(0xd0, values)
}

fn map(values: &[Vec<u8>]) -> Vec<u8> {
    compound(0xd1, values)
}

fn compound(code: u8, values: &[Vec<u8>]) -> Vec<u8> {
    let content = values.concat();
    let number = |number: usize| u32::try_from(number).unwrap_or_default().to_be_bytes();
    [&[code][..], &number(content.len() + 4), &number(values.len()), &content].concat()
}
