//! A row that is changed is the same change to the product in each format.

use std::collections::BTreeMap;

use emulator::dataverse::{
    pipeline::{Facts, contexts, format::Format},
    value::{Row, Tables, Value},
    written::{Message, Written},
};
use jiff::Timestamp;
use proptest::{collection::btree_map, option, prelude::*};
use shared::{
    change::{Change, ColumnValue, Operation},
    decode::{self, DecodedMessage},
};
use uuid::Uuid;

const CONTACT: Uuid = Uuid::from_u128(0xc0);
const USER: Uuid = Uuid::from_u128(0x0f);
const STEP: Uuid = Uuid::from_u128(0x57);
const ALIAS: &str = "Image";

fn row<const N: usize>(columns: [(&str, Value); N]) -> Row {
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A step for this message with an image of these columns before and after.
fn registered(message: Message, columns: &str) -> Tables {
    let text = |text: &str| Value::Text(text.to_owned());
    let lookup = |table: &str, id| Value::Lookup { table: table.to_owned(), id, name: None };
    let named = Uuid::from_u128(0x4e);
    let step = row([
        ("stage", Value::Choice(40)),
        ("mode", Value::Choice(1)),
        ("statecode", Value::Choice(0)),
        ("sdkmessageid", lookup("sdkmessage", named)),
    ]);
    let image = row([
        ("entityalias", text(ALIAS)),
        ("imagetype", Value::Choice(2)),
        ("attributes", text(columns)),
        ("sdkmessageprocessingstepid", lookup("sdkmessageprocessingstep", STEP)),
    ]);
    let message = row([("name", text(&format!("{message:?}")))]);
    let one = |table: &str, id, row| (table.to_owned(), BTreeMap::from([(id, row)]));
    Tables::from([
        one("sdkmessage", named, message),
        one("sdkmessageprocessingstep", STEP, step),
        one("sdkmessageprocessingstepimage", Uuid::from_u128(0x1a), image),
    ])
}

/// Binary XML loses the sign of zero.
fn double() -> impl Strategy<Value = f64> {
    any::<f32>()
        .prop_filter("a number", |number| number.is_finite())
        .prop_map(|number| f64::from(number) + 0.0)
}

fn value() -> impl Strategy<Value = Value> {
    let seconds = -62_135_596_800_i64..253_402_300_800;
    let choice = prop_oneof![0..3, 100_000_000..100_000_010];
    prop_oneof![
        2 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i32>().prop_map(Value::Int),
        1 => any::<i64>().prop_map(Value::Long),
        1 => double().prop_map(Value::Double),
        8 => text().prop_map(Value::Text),
        1 => any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))),
        1 => seconds.prop_map(|second| Value::Moment(Timestamp::from_second(second).unwrap_or_default())),
        1 => choice.prop_map(Value::Choice),
        1 => (any::<u128>(), option::of(text())).prop_map(|(id, name)| {
            Value::Lookup { table: "account".to_owned(), id: Uuid::from_u128(id), name }
        }),
    ]
}

/// Text of every alphabet, with what each format has to escape, and texts that look like something else.
fn text() -> impl Strategy<Value = String> {
    const ODD: [&str; 10] = [
        "",
        "0",
        "1",
        "true",
        "\r\n",
        "</a:value>",
        "/Dat(0)/",
        "\u{2028}\u{fffe}\u{1}",
        "a\\\"b",
        "\u{1f600}",
    ];
    prop_oneof![
        4 => "\\PC{0,40}",
        1 => any::<String>(),
        1 => proptest::sample::select(&ODD[..]).prop_map(str::to_owned),
        1 => ("\\PC", 80_usize..400).prop_map(|(letter, times)| letter.repeat(times)),
    ]
}

fn columns() -> impl Strategy<Value = Row> {
    btree_map("new_[a-z]{1,6}|firstname|lastname|emailaddress1", value(), 0..8)
}

fn written(message: Message, target: &Row, rest: &Row) -> Written {
    let whole = |target: &Row| {
        let mut row = rest.clone();
        row.extend(target.clone());
        row.insert("contactid".to_owned(), Value::Guid(CONTACT));
        row
    };
    Written {
        message,
        table: "contact".to_owned(),
        id: CONTACT,
        target: if message == Message::Delete { Row::new() } else { target.clone() },
        before: (message != Message::Create).then(|| whole(&Row::new())),
        after: (message != Message::Delete).then(|| whole(target)),
        user: USER,
        user_agent: "a person".to_owned(),
        tag: Some("a tag".to_owned()),
        at: Timestamp::constant(1_710_408_413, 0),
        request: Uuid::from_u128(0x11),
        correlation: Uuid::from_u128(0x12),
        depth: 1,
        bypass: false,
    }
}

fn decoded(message: Message, target: &Row, rest: &Row) -> [DecodedMessage; 3] {
    let facts = Facts {
        organization: Uuid::from_u128(0x0a),
        unique_name: "unq0a".to_owned(),
        business_unit: Uuid::from_u128(0x0b),
        host: "org.crm4.dynamics.com".to_owned(),
    };
    let names: Vec<_> = target.keys().chain(rest.keys()).map(String::as_str).collect();
    let tables = registered(message, &names.join(","));
    // Each context names a job of its own, so all three are written from one.
    let contexts = contexts(&tables, &facts, &written(message, target, rest));
    let [context] = &*contexts else { panic!("one step fires: {contexts:?}") };
    Format::ALL.map(|format| {
        let body = format.write(context);
        let message = decode::decode(&body, Some(format.content_type())).expect("it can be decoded");
        DecodedMessage { format: decode::Format::Json, ..message }
    })
}

fn only(message: &DecodedMessage) -> &Change {
    let [change] = message.changes() else { panic!("one change: {message:?}") };
    change
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_row_is_the_same_change_in_every_format(
        message in prop_oneof![Just(Message::Create), Just(Message::Update), Just(Message::Delete)],
        target in columns(),
        rest in columns(),
    ) {
        let [binary, json, text] = decoded(message, &target, &rest);
        prop_assert_eq!(&binary, &json);
        prop_assert_eq!(&json, &text);
        let change = only(&json);
        prop_assert_eq!(change.contact.0, CONTACT);
        let operation = match message {
            Message::Create => Operation::Create,
            Message::Update => Operation::Update,
            Message::Delete => Operation::Delete,
        };
        prop_assert_eq!(change.operation, operation);
        prop_assert_eq!(change.organization.map(|organization| organization.0), Some(Uuid::from_u128(0x0a)));
        prop_assert_eq!(change.origin.created, Some(Timestamp::constant(1_710_408_413, 0)));
        if message != Message::Delete {
            for (column, value) in &target {
                prop_assert!(is_told(change.columns.get(column), value), "{column}: {:?}", change.columns.get(column));
            }
        }
        let images = [
            (&change.before, message != Message::Create, Row::new()),
            (&change.after, message != Message::Delete, target),
        ];
        for (image, is_there, changed) in images {
            for (column, value) in rest.iter().filter(|(column, _)| is_there && !changed.contains_key(*column)) {
                let shown = image.get(column);
                let is_right = if *value == Value::Null { shown.is_none() } else { is_told(shown, value) };
                prop_assert!(is_right, "{column}: {shown:?}");
            }
        }
    }
}

/// Whether a column that the product has read is the one that was written.
fn is_told(read: Option<&ColumnValue>, written: &Value) -> bool {
    match (read, written) {
        (Some(ColumnValue::Null), Value::Null) => true,
        (Some(ColumnValue::Bool(read)), Value::Bool(written)) => read == written,
        (Some(ColumnValue::Text(read)), Value::Text(written)) => **read == **written,
        (Some(ColumnValue::Text(read)), Value::Guid(written)) => **read == *written.to_string(),
        (Some(ColumnValue::Text(read)), Value::Int(written)) => **read == *written.to_string(),
        (Some(ColumnValue::Text(read)), Value::Long(written)) => **read == *written.to_string(),
        (Some(ColumnValue::Text(read)), Value::Double(written)) => read.parse() == Ok(*written),
        (Some(ColumnValue::Text(read)), Value::Moment(written)) => read.parse().ok() == Some(*written),
        (Some(ColumnValue::Choice { value, .. }), Value::Choice(written)) => *value == i64::from(*written),
        (Some(ColumnValue::Lookup { id, .. }), Value::Lookup { id: written, .. }) => *id == Some(*written),
        _ => false,
    }
}

#[test]
fn a_fixture_and_the_local_dataverse_say_the_same_members_in_the_same_order() {
    let fixture = include_str!("../../fixtures/contexts/contact-update-images.json");
    let target = row([("lastname", Value::Text("King".to_owned()))]);
    let tables = registered(Message::Update, "lastname");
    let facts = Facts {
        organization: Uuid::from_u128(0x0a),
        unique_name: "unq0a".to_owned(),
        business_unit: Uuid::from_u128(0x0b),
        host: String::new(),
    };
    let context = contexts(&tables, &facts, &written(Message::Update, &target, &Row::new())).remove(0);
    let body = Format::Json.write(&context);
    let body = String::from_utf8(body).expect("JSON is text");
    // The parent has all members again, in the same order.
    let mut once: Vec<_> = members(fixture);
    let ours: Vec<_> = members(&body);
    let parent = ours.iter().position(|name| *name == "ParentContext").expect("a parent");
    let inner = once.clone();
    let at = once.iter().position(|name| *name == "ParentContext").expect("a parent") + 1;
    once.splice(at..at, inner);
    assert_eq!(ours, once, "parent at {parent}");
}

/// Names of the members of contexts, in the order of a document.
fn members(document: &str) -> Vec<&str> {
    let is_member = |name: &&str| {
        name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && !["Attributes", "EntityState", "FormattedValues", "Id", "KeyAttributes", "LogicalName", "Name"]
                .contains(name)
            && !["RelatedEntities", "RowVersion"].contains(name)
    };
    let quoted = document.split('"').skip(1).step_by(2).zip(document.split('"').skip(2).step_by(2));
    quoted.filter(|(_, next)| next.starts_with(':')).map(|(name, _)| name).filter(is_member).collect()
}
