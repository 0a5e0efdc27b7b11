//! No input makes the decoder panic, hang, or spend what is out of proportion to its length.

use std::fs;

use proptest::{collection::vec, prelude::*, sample::Index};
use serde::de::IgnoredAny;
use shared::decode::{self, DecodeProblem, Format, View, limits};

use super::{content_type, contexts};

/// Bodies that between them hold most records, escapes and types.
const SEEDS: [&str; 9] = [
    "contact-update-images.json",
    "contact-update-images.xml",
    "contact-update-images.msbin1",
    "contact-update-array-parameters.json",
    "contact-update-array-parameters.xml",
    "contact-update-array-parameters.msbin1",
    "contact-update-control-chars.xml",
    "variants/contact-update-string.bin-alt-records.msbin1",
    "variants/contact-update-string.wrapped-xml-as-string.bin",
];

/// What the readers begin with.
const STARTS: [&[u8]; 8] = [b"{", b"<", b"\"", b"@", b"\x40\x06string\x08", b"\xFF\xFE", b"[", b""];

fn seed(file: &str) -> (Vec<u8>, Option<&'static str>) {
    let path = contexts().join(file);
    (fs::read(&path).expect("a fixture can be read"), content_type(&path))
}

/// Everything that can be done with a body; what comes out does not matter.
fn decode(body: &[u8], content_type: Option<&str>) {
    let Ok(payload) = decode::open(body, content_type) else { return };
    // What decodes can also be shown and extracted without a panic.
    if let Ok(context) = payload.context() {
        if payload.format() == Format::Json {
            // Our reader must not be more lenient than the library it stands beside.
            serde_json::from_slice::<IgnoredAny>(payload.body()).expect("what we read as JSON is JSON");
        }
        for view in [View::Full, View::Json] {
            serde_json::to_vec(&context.shown(view)).expect("whatever decodes can be shown");
        }
    }
    if let Err(error) = payload.message() {
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_body_cut_at_any_byte_is_refused() {
    for file in SEEDS {
        let (body, content_type) = seed(file);
        for length in 0..body.len() {
            let result = decode::decode(&body[..length], content_type);
            assert!(result.is_err(), "{file} cut to {length} bytes");
        }
    }
}

#[test]
fn each_byte_can_be_flipped_without_a_panic() {
    for file in SEEDS {
        let (mut body, content_type) = seed(file);
        for at in 0..body.len() {
            let mask = [0x01, 0x80, 0xFF][at % 3];
            body[at] ^= mask;
            // Neither outcome is wrong; not to panic is what is asked for.
            drop(decode::decode(&body, content_type));
            body[at] ^= mask;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn pieces_can_be_overwritten_moved_and_repeated_without_a_panic(
        file in 0..SEEDS.len(),
        edits in vec((any::<Index>(), any::<Index>(), vec(any::<u8>(), 0..8), 0..3_u8), 1..6),
    ) {
        let (mut body, content_type) = seed(SEEDS[file]);
        for (from, to, bytes, edit) in edits {
            let (from, to) = (from.index(body.len()), to.index(body.len()));
            let (from, to) = (from.min(to), from.max(to));
            match edit {
                0 => body.splice(from..(from + bytes.len()).min(body.len()), bytes).for_each(drop),
                1 => body.drain(from..to.min(from + 64)).for_each(drop),
                _ => {
                    let piece = body[from..to.min(from + 64)].to_vec();
                    body.splice(to..to, piece).for_each(drop);
                }
            }
            if body.is_empty() {
                break;
            }
        }
        decode(&body, content_type);
    }

    #[test]
    fn arbitrary_bytes_behind_any_first_byte_are_no_reason_to_panic(
        start in prop::sample::select(&STARTS[..]),
        body in vec(any::<u8>(), 0..200),
    ) {
        let body = [start, &body].concat();
        for content_type in [None, Some("application/msbin1")] {
            decode(&body, content_type);
        }
    }
}

#[track_caller]
fn refused(body: &[u8], content_type: &str) -> DecodeProblem {
    decode::decode(body, Some(content_type)).expect_err("a hostile body is refused").problem
}

/// A JSON context whose one parameter is something.
fn parameter(value: &str) -> String {
    format!(r#"{{"MessageName":"Update","InputParameters":[{{"key":"Target","value":{value}}}]}}"#)
}

#[test]
fn a_body_beyond_the_length_limit_is_not_even_looked_at() {
    let body = parameter(&format!("\"{}\"", "a".repeat(limits::LENGTH)));
    assert!(matches!(
        refused(body.as_bytes(), "application/json"),
        DecodeProblem::Limit { what: "bytes", .. }
    ));
}

#[test]
fn items_are_limited_where_they_are_cheap_to_write() {
    let body = parameter(&format!("[{}0]", "0,".repeat(limits::ITEMS)));
    assert!(matches!(
        refused(body.as_bytes(), "application/json"),
        DecodeProblem::Limit { what: "values", .. }
    ));
}

#[test]
fn types_that_hide_behind_nested_objects_do_not_cost_quadratic_time() {
    let deep = (0..30).fold("0".to_owned(), |inner, _| format!(r#"{{"a":{inner}}}"#));
    let hidden = (0..20).fold(deep, |inner, _| {
        format!(
            r#"{{"Value":{inner},"__type":"AliasedValue:http://schemas.microsoft.com/xrm/2011/Contracts"}}"#
        )
    });
    let problem = refused(parameter(&hidden).as_bytes(), "application/json");
    assert!(matches!(problem, DecodeProblem::Limit { limit: limits::REREAD, .. }), "{problem}");
}

#[test]
fn namespace_declarations_in_scope_are_limited() {
    let prefixes = ('a'..='z').flat_map(|first| ('a'..='d').map(move |second| format!("{first}{second}")));
    let declarations: Vec<_> = prefixes.map(|prefix| format!("xmlns:{prefix}=\"urn:p\"")).collect();
    let declarations = declarations.join(" ");
    let body = format!(r#"<RemoteExecutionContext xmlns="urn:x" {declarations}/>"#);
    let problem = refused(body.as_bytes(), "application/xml");
    assert!(matches!(problem, DecodeProblem::Limit { limit: limits::NAMESPACES, .. }), "{problem}");
}

#[test]
fn wrappers_inside_wrappers_are_limited() {
    let wrapped = (0..10).fold("{}".to_owned(), |inner, _| serde_json::to_string(&inner).expect("a string"));
    let problem = refused(wrapped.as_bytes(), "application/json");
    assert!(matches!(problem, DecodeProblem::Limit { limit: limits::WRAPPERS, .. }), "{problem}");
}

#[test]
fn the_deepest_nesting_allowed_fits_a_small_stack() {
    let parents =
        (0..=limits::DEPTH).fold("null".to_owned(), |inner, _| format!(r#"{{"ParentContext":{inner}}}"#));
    let xml = format!(
        r#"<RemoteExecutionContext xmlns="http://schemas.microsoft.com/xrm/2011/Contracts">{}"#,
        "<ParentContext>".repeat(limits::DEPTH)
    );
    let aliased = (0..limits::DEPTH).fold("1".to_owned(), |inner, _| {
        format!(
            r#"{{"__type":"AliasedValue:http://schemas.microsoft.com/xrm/2011/Contracts","Value":{inner}}}"#
        )
    });
    let related = (0..limits::DEPTH / 5).fold("[]".to_owned(), |inner, _| {
        format!(r#"[{{"key":{{}},"value":{{"Entities":[{{"RelatedEntities":{inner}}}]}}}}]"#)
    });
    let entity = format!(
        r#"{{"__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts","RelatedEntities":{related}}}"#
    );
    let bodies = [parents, xml, parameter(&aliased), parameter(&entity)];
    // Half of what tokio gives its threads, and that in a build without optimization.
    let thread = std::thread::Builder::new().stack_size(1024 * 1024);
    let run = thread.spawn(move || {
        bodies.map(|body| decode::decode(body.as_bytes(), None).expect_err("too deep").problem)
    });
    let problems = run.expect("a thread starts").join().expect("the stack is enough");
    assert!(
        problems[..3].iter().all(|problem| matches!(problem, DecodeProblem::Limit { .. })),
        "{problems:?}"
    );
}

/// A message about several contacts, with these records.
fn several(records: &str) -> String {
    format!(
        r#"{{"MessageName":"UpdateMultiple","PrimaryEntityName":"contact","InputParameters":[{{"key":"Targets","value":
        {{"__type":"EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts","Entities":[{records}]}}}}]}}"#
    )
}

fn contact(number: usize) -> String {
    let id = uuid::Uuid::from_u128(number as u128 + 1);
    format!(r#"{{"Id":"{id}","Attributes":[{{"key":"firstname","value":"Ada"}}]}}"#)
}

fn contacts(count: usize) -> String {
    several(&(0..count).map(contact).collect::<Vec<_>>().join(","))
}

#[test]
fn a_message_is_about_a_thousand_contacts_at_most() {
    let most = contacts(limits::RECORDS);
    let message = decode::decode(most.as_bytes(), None).expect("as many as there may be");
    assert_eq!(message.changes().len(), limits::RECORDS);
    let error = decode::decode(contacts(limits::RECORDS + 1).as_bytes(), None).expect_err("one too many");
    assert!(error.to_string().starts_with("more than 1000 records in one list at byte "), "{error}");
    let problem = refused(several(&"{},".repeat(300_000)).as_bytes(), "application/json");
    assert!(matches!(problem, DecodeProblem::Limit { limit: limits::RECORDS, .. }), "{problem}");
    let xml = format!(
        r#"<RemoteExecutionContext xmlns="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"
            xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><InputParameters><KeyValuePairOfstringanyType><c:key>Targets</c:key>
            <c:value i:type="EntityCollection"><Entities>{}</Entities></c:value></KeyValuePairOfstringanyType></InputParameters>"#,
        "<Entity/>".repeat(limits::RECORDS + 1)
    );
    let problem = refused(xml.as_bytes(), "application/xml");
    assert!(matches!(problem, DecodeProblem::Limit { limit: limits::RECORDS, .. }), "{problem}");
}

/// What is cheap to write and takes much to keep, as an item of a list.
const CHEAP: [&str; 8] = [
    "{}",
    "[]",
    "0",
    r#""""#,
    r#"{"__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts"}"#,
    r#"{"__type":"EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts"}"#,
    r#"{"__type":"AliasedValue:http://schemas.microsoft.com/xrm/2011/Contracts"}"#,
    r#"{"__type":"X:#Y"}"#,
];

/// The places where lists are: of values, here and in a parent, of related records, of images.
const AROUND: [(&str, &str); 4] = [
    (r#"{"MessageName":"Update","InputParameters":[{"key":"Target","value":["#, "]}]}"),
    (r#"{"MessageName":"Update","ParentContext":{"InputParameters":[{"key":"Target","value":["#, "]}]}}"),
    (
        r#"{"MessageName":"Update","PostEntityImages":[{"key":"a","value":{"RelatedEntities":[{"key":{},"value":{"Entities":["#,
        "]}}]}}]}",
    ),
    (r#"{"MessageName":"Update","PostEntityImages":["#, "]}"),
];

#[test]
fn whatever_a_body_is_made_of_what_it_takes_in_memory_is_bounded() {
    let value = size_of::<decode::value::ContextValue<'_>>();
    assert!(value * limits::ITEMS <= limits::MEMORY, "a long list of numbers stays possible");
    let mut bound = 0;
    for (before, after) in AROUND {
        for item in CHEAP {
            let room = limits::LENGTH - before.len() - after.len();
            let items = vec![item; room / (item.len() + 1)].join(",");
            let body = [before, &items, after].concat();
            let Ok(payload) = decode::open(body.as_bytes(), None) else { panic!("{item} is not opened") };
            if let Err(error) = payload.context() {
                bound += usize::from(matches!(error.problem, DecodeProblem::Limit { .. }));
            }
            if let Ok(message) = payload.message() {
                assert!(message.changes().len() <= limits::RECORDS);
            }
        }
    }
    assert!(bound >= 8, "{bound} of the bodies met a bound");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn no_body_asks_for_more_writes_than_a_thousand(
        lists in vec((0..2_500_usize, prop::sample::select(vec!["Targets", "Target", "X"])), 1..4),
    ) {
        let lists: Vec<_> = lists
            .iter()
            .map(|(count, key)| {
                let records = (0..*count).map(contact).collect::<Vec<_>>().join(",");
                format!(
                    r#"{{"key":"{key}","value":{{"__type":"EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts","Entities":[{records}]}}}}"#
                )
            })
            .collect();
        for name in ["UpdateMultiple", "CreateMultiple", "UpsertMultiple", "contoso_Custom"] {
            let body = format!(
                r#"{{"MessageName":"{name}","PrimaryEntityName":"contact","InputParameters":[{}]}}"#,
                lists.join(",")
            );
            if let Ok(message) = decode::decode(body.as_bytes(), None) {
                prop_assert!(message.changes().len() <= limits::RECORDS);
            }
        }
    }
}
