//! What is read of Graph's answers and written into bodies.

use jiff::Timestamp;
use shared::{
    admission::Terms, ids::SequenceNumber, lww_register::Stamp, patch::PatchEntry, priority::Priority,
    version::Version,
};
use uuid::Uuid;

use super::*;

fn guarded() -> ReadPolicy {
    ReadPolicy { guard: Some(named("extensionAttribute15")), ..ReadPolicy::default() }
}

fn named(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn body(entries: &[(&str, PropertyValue)]) -> Body {
    let properties = entries.iter().map(|(name, value)| (named(name), value.clone())).collect();
    Body { properties, identities: None }
}

fn write(names: &[&str]) -> UserWrite {
    let stamp = Stamp { version: Version::at(Timestamp::UNIX_EPOCH), arrival: SequenceNumber(0) };
    let entry = |name: &&str| PatchEntry { property: named(name), value: PropertyValue::Clear, stamp };
    UserWrite {
        user: UserId(Uuid::max()),
        entries: names.iter().map(entry).collect(),
        known: Vec::new(),
        urgency: Priority::Live,
        contacts: Vec::new(),
    }
}

#[test]
fn a_look_at_a_user_asks_for_what_the_write_needs_and_no_more() {
    let guarded = guarded();
    assert_eq!(selection(&write(&["mail"]), &guarded), "id,onPremisesExtensionAttributes");
    let diff = ReadPolicy { diff: true, ..ReadPolicy::default() };
    assert_eq!(selection(&write(&["mail", "surname"]), &diff), "id,mail,surname");
    assert_eq!(
        selection(&write(&["mail", "signInEmail"]), &ReadPolicy::default()),
        "id,identities,userPrincipalName,userType"
    );
    assert_eq!(selection(&write(&["surname", "otherMails"]), &ReadPolicy::default()), "id,otherMails");
    let terms = Terms {
        owner: Some(named("extensionAttribute14")),
        user_type: Some("Member".into()),
        local_issuer: Some("contoso.onmicrosoft.com".into()),
        ..Terms::default()
    };
    let all = ReadPolicy { terms, ..guarded };
    assert_eq!(selection(&write(&["mail"]), &all), "id,onPremisesExtensionAttributes,identities,userType");
    assert_eq!(
        selection(&write(&["signInEmail"]), &all),
        "id,identities,userPrincipalName,userType,onPremisesExtensionAttributes"
    );
}

#[test]
fn a_user_is_read_with_identities_values_and_mark() {
    let user = br#"{"id":"1","mail":"a@b.c","surname":null,"otherMails":["x@y.z"],"businessPhones":["1","2"],
        "userPrincipalName":"u@c.d","identities":[{"signInType":"emailAddress","issuer":"c.d",
        "issuerAssignedId":"a@b.c"},{"odd":1.50},null],
        "onPremisesExtensionAttributes":{"extensionAttribute15":"cs1|x"}}"#;
    let reading = ReadPolicy { diff: true, ..guarded() };
    let current = current(user, &write(&["mail", "surname", "otherMails", "businessPhones"]), &reading);
    let current = current.expect("a user");
    assert_eq!(current.values.len(), 4);
    let list = |texts: &[&str]| PropertyValue::List(texts.iter().map(|text| (*text).into()).collect());
    assert_eq!(
        current.values[2..],
        [(named("otherMails"), list(&["x@y.z"])), (named("businessPhones"), list(&["1", "2"]))]
    );
    assert_eq!(current.values[1], (named("surname"), PropertyValue::Clear));
    let identities = current.person.identities.expect("shown");
    let odd: Vec<_> = identities[1..].iter().map(|one| (&*one.sign_in_type, one.json.as_deref())).collect();
    assert_eq!(odd, [("", Some("{\"odd\":1.50}")), ("", Some("null"))], "as they were read");
    assert_eq!(current.mark.as_deref(), Some("cs1|x"));
    assert_eq!(current.principal_name.as_deref(), Some("u@c.d"));
}

const TYPED: &str = "extension_0123456789abcdef0123456789abcdef_typed";

#[test]
fn a_typed_value_that_was_written_reads_as_the_same() {
    let reading = ReadPolicy { diff: true, ..ReadPolicy::default() };
    let seen = |json: &str| {
        let user = format!(r#"{{"id":"1","{TYPED}":{json}}}"#);
        current(user.as_bytes(), &write(&[TYPED]), &reading).expect("a user").values.pop()
    };
    for value in [
        PropertyValue::Bool(true),
        PropertyValue::Integer(0),
        PropertyValue::Integer(i32::MIN),
        PropertyValue::Clear,
    ] {
        let written = serde_json::to_string(&Value(&named(TYPED), &value)).expect("serializes");
        assert_eq!(seen(&written), Some((named(TYPED), value)));
    }
    // Numbers of other types are none of ours, so that they count as not known.
    for other in ["2147483648", "7.5"] {
        assert_eq!(seen(other), None, "{other}");
    }
}

#[test]
fn only_a_whole_list_of_users_tells_who_is_meant() {
    const A: &str = "11111111-2222-4333-8444-aaaaaaaaaaaa";
    const B: &str = "11111111-2222-4333-8444-bbbbbbbbbbbb";
    let user = |text: &str| UserId::parse(text).expect("a GUID");
    let page = |ids: &[&str], more: &str| {
        let users: Vec<_> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
        found(format!(r#"{{"value":[{}]{more}}}"#, users.join(",")).as_bytes())
    };
    let more = r#","@odata.nextLink":"https://graph.example/""#;
    assert_eq!(page(&[], ""), Some(LinkAnswer::Nobody));
    assert_eq!(page(&[A], ""), Some(LinkAnswer::User(user(A))));
    assert_eq!(page(&[A, A], ""), Some(LinkAnswer::User(user(A))));
    for rest in ["", more] {
        assert_eq!(page(&[A, B], rest), Some(LinkAnswer::Several(user(A), user(B))));
    }
    assert_eq!([page(&[A], more), page(&[], more), page(&["me"], "")], [None; 3]);
    for body in [&b""[..], b"[]", b"{}", br#"{"value":{}}"#, br#"{"value":[{}]}"#, b"<html>"] {
        assert_eq!(found(body), None);
    }
}

#[test]
fn a_patch_is_written_as_graph_wants_it() {
    let text = |text: &str| PropertyValue::Text(text.into());
    let mut body = body(&[
        ("givenName", text("Zoë \"Z\"")),
        ("surname", PropertyValue::Clear),
        ("businessPhones", PropertyValue::List(["1".into()].into())),
        ("otherMails", PropertyValue::Clear),
        ("extensionAttribute3", text("x")),
        ("accountEnabled", PropertyValue::Bool(false)),
        (TYPED, PropertyValue::Integer(-7)),
    ]);
    let read = ObjectIdentity {
        json: Some(
            r#"{"extra": {"a":1.50}, "signInType":"emailAddress","issuer":"c.d","issuerAssignedId":"o@b.c"}"#
                .into(),
        ),
        ..ObjectIdentity::new("emailAddress", "c.d", "a@b.c")
    };
    let odd = ObjectIdentity { json: Some(r#"{"odd": 1.50}"#.into()), ..ObjectIdentity::default() };
    body.identities = Some(vec![ObjectIdentity::new("emailAddress", "c.d", "a@b.c"), read, odd]);
    assert_eq!(
        serde_json::to_string(&Patch(&body)).expect("serializes"),
        r#"{"givenName":"Zoë \"Z\"","surname":null,"businessPhones":["1"],"otherMails":[],"accountEnabled":false,"extension_0123456789abcdef0123456789abcdef_typed":-7,"onPremisesExtensionAttributes":{"extensionAttribute3":"x"},"identities":[{"signInType":"emailAddress","issuer":"c.d","issuerAssignedId":"a@b.c"},{"extra":{"a":1.50},"issuer":"c.d","issuerAssignedId":"a@b.c","signInType":"emailAddress"},{"odd": 1.50}]}"#
    );
}

#[test]
fn an_error_body_gives_its_codes_and_no_text() {
    let body = br#"{"error":{"code":"Request_BadRequest","message":"Ada is bad","details":
        [{"code":"InvalidValue","target":"givenName","message":"Ada"}],"innerError":{"date":"x"}}}"#;
    let head = Head { status: 400, request_id: Some("r-1"), ..Head::default() };
    let answer = answer(head, body);
    assert_eq!(answer.to_string(), "400 Request_BadRequest for givenName, request-id r-1");
    assert!(!answer.conflict);
}

#[test]
fn a_conflict_is_seen_in_details_and_in_the_known_sentences() {
    let by_detail = br#"{"error":{"code":"Request_BadRequest","details":
        [{"code":"ObjectConflict","target":"proxyAddresses"},{"code":"ConflictingObjects","target":"User_11111111-2222-4333-8444-aaaaaaaaaaaa"}]}}"#;
    let head = Head { status: 400, ..Head::default() };
    let found = answer(head, by_detail);
    assert_eq!((found.conflict, found.target.as_deref()), (true, Some("proxyAddresses")));
    for text in [
        "Another object with the same value for property mail already exists.",
        "A conflicting object with one or more of the specified property values is present in the directory.",
    ] {
        let body = format!(r#"{{"error":{{"code":"Request_BadRequest","message":"{text}"}}}}"#);
        assert!(answer(head, body.as_bytes()).conflict);
    }
}

#[test]
fn html_nothing_and_garbage_leave_the_status() {
    for body in [&b""[..], b"<html>", b"{}", b"[]", br#"{"error":"x"}"#, b"\xff"] {
        let head = Head { status: 502, ..Head::default() };
        assert_eq!(answer(head, body), GraphRefusal { status: 502, ..GraphRefusal::default() });
    }
}

#[test]
fn text_in_the_place_of_a_code_is_not_kept() {
    let body = br#"{"error":{"code":"ada@example.com is wrong"}}"#;
    let head =
        Head { status: 400, request_id: Some("<script>"), content_type: Some("<b>x</b>"), ..Head::default() };
    let answer = answer(head, body);
    assert_eq!((answer.to_string().as_str(), answer.content_type, answer.is_graphs), ("400", None, true));
}

#[test]
fn only_graphs_own_answer_is_a_success() {
    let head = |status, request_id| Head { status, request_id, ..Head::default() };
    for (head, body, written) in [
        (head(204, None), &b""[..], true),
        (head(200, Some("r-1")), b"{\"id\":\"1\"}", true),
        (head(200, None), b"{\"id\":\"1\"}", false),
        (head(200, Some("r-1")), b"<html>", false),
        (head(200, Some("r-1")), b"", false),
        (head(200, Some("r-1")), b"[]", false),
        (head(201, Some("r-1")), b"{}", false),
        (head(202, Some("r-1")), b"", false),
        (head(205, Some("r-1")), b"", false),
        (head(302, Some("r-1")), b"", false),
    ] {
        assert_eq!(is_written(head, body), written, "{head:?}");
    }
}

#[test]
fn a_type_is_kept_without_its_parameters() {
    let typed =
        |text| answer(Head { status: 200, content_type: Some(text), ..Head::default() }, b"").content_type;
    assert_eq!(typed("Text/HTML; charset=utf-8").as_deref(), Some("text/html"));
    assert_eq!(typed("html"), None);
}
