//! Answers of Graph: a line of headers, and the body.

use jiff::Timestamp;
use serde_json::Value;
use shared::{
    admission::Terms,
    ids::{ContactId, SequenceNumber, UserId},
    lww_register::Stamp,
    patch::{ListElement, PatchEntry, PropertyValue, SignIn, UserWrite},
    priority::Priority,
    property::Property,
    reconcile::{self, ReadPolicy},
    retry_after,
    version::Version,
};
use uuid::Uuid;
use worker::fuzz::graph;

use crate::texts;

/// What an answer of anybody must not do: pass for a write, put words of its own into our texts, or be read as a user
/// who is none.
pub(crate) fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = (String::from_utf8_lossy(&bytes[..end]), bytes.get(end + 1..).unwrap_or_default());
    let mut fields = head.split('|');
    let status = fields.next().and_then(|text| text.parse::<u16>().ok()).unwrap_or(400);
    let (request_id, content_type) = (fields.next(), fields.next());
    let wait = fields.next().and_then(|text| retry_after::parse(text, Timestamp::UNIX_EPOCH));
    assert!(wait.is_none_or(|wait| wait.as_secs() < u64::MAX));

    let read = serde_json::from_slice::<Value>(body).ok();
    let answer = graph::answer(status, request_id, content_type, body);
    let tame = |c: char| c.is_ascii_alphanumeric() || " _-.,/()".contains(c);
    assert!(answer.to_string().chars().all(tame), "the answer puts words into our texts: {answer}");
    assert!(answer.to_string().len() < 500);
    let _decided = answer.handling();
    if answer.is_graphs
        && let Some(read) = &read
    {
        assert!(read["error"]["code"].is_string(), "a code out of nothing");
    }
    if graph::is_written(status, request_id, body) {
        assert!(status == 204 || status == 200 && request_id.is_some(), "no answer to a write that was made");
        assert!(status == 204 || read.as_ref().is_none_or(Value::is_object));
    }
    user(body, read.as_ref());
}

fn user(body: &[u8], read: Option<&Value>) {
    let terms = Terms {
        owner: Property::named("extensionAttribute14"),
        local_issuer: Some("c.d".into()),
        ..Terms::default()
    };
    let reading = ReadPolicy {
        guard: Property::named("extensionAttribute15"),
        diff: true,
        terms,
        ..ReadPolicy::default()
    };
    let write = write();
    let Some(current) = graph::current(body, &write, &reading) else { return };
    assert!(read.is_none_or(|read| read["id"].is_string()), "a user without an id");
    for (property, _) in &current.values {
        assert!(write.entries.iter().any(|entry| entry.property == *property), "not asked for");
    }
    let Ok(reconciled) = reconcile::reconcile(&write, &current, &reading) else { return };
    let Some(left) = reconciled.body else { return };
    let patch: Value = serde_json::from_slice(&graph::patch(&left)).expect("we write JSON");
    let allowed = ["mail", "surname", "otherMails", "identities", "onPremisesExtensionAttributes"];
    let written: Vec<_> = patch.as_object().expect("an object").keys().collect();
    assert!(!written.is_empty(), "an empty write");
    assert!(written.iter().all(|name| allowed.contains(&name.as_str())), "{written:?} was not to be written");
}

/// A write of every kind of value.
fn write() -> UserWrite {
    let at = Timestamp::from_millisecond(1_767_225_600_000).unwrap_or_default();
    let stamp = Stamp { version: Version::at(at), arrival: SequenceNumber(1) };
    let address = SignIn { previous: Some("a@b.c".into()), ..SignIn::to("new@b.c") };
    let values = [
        ("mail", PropertyValue::Text("a@b.c".into())),
        ("surname", PropertyValue::Clear),
        ("otherMails", ListElement::of("a@b.c").into()),
        ("signInEmail", address.into()),
    ];
    let entry = |(name, value): (&str, PropertyValue)| {
        Some(PatchEntry { property: Property::named(name)?, value, stamp })
    };
    UserWrite {
        user: UserId(Uuid::max()),
        entries: values.into_iter().filter_map(entry).collect(),
        known: Vec::new(),
        urgency: Priority::Live,
        contacts: vec![ContactId(Uuid::from_u128(1))],
    }
}

/// Users, refusals, and what stands in front of Graph.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "200|request|application/json\n{\"id\":\"1\",\"mail\":\"a@b.c\",\"surname\":null,\"otherMails\":[\"x@y.z\"],\"userPrincipalName\":\"u@c.d\",\"identities\":[{\"signInType\":\"emailAddress\",\"issuer\":\"c.d\",\"issuerAssignedId\":\"a@b.c\"},{\"odd\":1}],\"onPremisesExtensionAttributes\":{\"extensionAttribute15\":\"cs1|mjv2k0g0:abcd\"}}",
        "400|request|application/json; charset=utf-8\n{\"error\":{\"code\":\"Request_BadRequest\",\"message\":\"Another object with the same value for property mail\",\"details\":[{\"code\":\"ObjectConflict\",\"target\":\"proxyAddresses\",\"message\":\"Ada\"}],\"innerError\":{\"date\":\"x\"}}}",
        "429|r||7.5\n{\"error\":{\"code\":\"TooManyRequests\",\"message\":\"\"}}",
        "503|||Wed, 21 Oct 2026 07:28:00 GMT\n{\"error\":{\"code\":\"serviceNotAvailable\"}}",
        "200||text/html\n<html>blocked by your proxy</html>",
        "204|r|\n",
    ])
}
