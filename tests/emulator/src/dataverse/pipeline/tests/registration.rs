//! What may be registered.

use uuid::Uuid;

use super::organization::*;
use crate::dataverse::{
    pipeline::{check_delete, check_write},
    value::{Row, Tables, Value},
    written::Message,
};

const NEW: Uuid = Uuid::from_u128(0xff);

/// The code of the refusal of a new row, or 0.
fn code(tables: &Tables, table: &str, row: &Row) -> u32 {
    check_write(tables, table, NEW, None, row).err().map_or(0, |refusal| refusal.code)
}

fn with(row: &Row, column: &str, value: Value) -> Row {
    let mut row = row.clone();
    row.insert(column.to_owned(), value);
    row
}

#[test]
fn endpoints_name_where_they_post_to() {
    let tables = registered("");
    let good = endpoint("sb://localhost:5672/");
    let cases = [
        (good.clone(), 0),
        (with(&good, "name", text("")), 0x8004_0203),
        (with(&good, "path", Value::Null), 0x8004_0203),
        (with(&good, "messageformat", Value::Choice(4)), 0x8004_0203),
        (
            with(&good, "saskey", text("Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=b")),
            0x8004_0203,
        ),
    ];
    for (row, expected) in cases {
        assert_eq!(code(&tables, "serviceendpoint", &row), expected, "{row:?}");
    }
}

#[test]
fn steps_fit_their_stage_message_table_and_endpoint() {
    let tables = registered("");
    let good = step(Message::Update);
    let other = lookup("sdkmessagefilter", id("sdkmessagefilter", Message::Delete));
    let cases = [
        // There may be two of the same.
        (good.clone(), 0),
        (with(&good, "stage", Value::Choice(30)), 0x8004_4184),
        (with(&good, "stage", Value::Choice(20)), 0x8004_0203),
        (with(&good, "mode", Value::Choice(0)), 0x8004_0203),
        (with(&good, "eventhandler", Value::Null), 0x8004_0203),
        (with(&good, "eventhandler", lookup("serviceendpoint", NEW)), 0x8004_0217),
        (with(&good, "sdkmessageid", lookup("sdkmessage", NEW)), 0x8004_0217),
        (with(&good, "sdkmessagefilterid", lookup("sdkmessagefilter", NEW)), 0x8004_0217),
        (with(&good, "sdkmessagefilterid", other), 0x8004_4187),
        (with(&good, "sdkmessagefilterid", Value::Null), 0),
    ];
    for (row, expected) in cases {
        assert_eq!(code(&tables, "sdkmessageprocessingstep", &row), expected, "{row:?}");
    }
}

#[test]
fn a_step_cannot_become_one_that_its_images_do_not_fit() {
    let tables = registered("");
    let update = id("sdkmessageprocessingstep", Message::Update);
    let before = &tables["sdkmessageprocessingstep"][&update];
    let change = row([
        ("sdkmessageid", lookup("sdkmessage", id("sdkmessage", Message::Delete))),
        ("sdkmessagefilterid", Value::Null),
    ]);
    let refusal = check_write(&tables, "sdkmessageprocessingstep", update, Some(before), &change);
    assert_eq!(refusal.err().map(|refusal| refusal.code), Some(0x8004_416d));
}

#[test]
fn images_fit_their_message() {
    let mut tables = registered("");
    let cases = [
        (image(Message::Create, 1, "a"), 0),
        (with(&image(Message::Create, 1, "a"), "messagepropertyname", text("Target")), 0x8004_416b),
        (with(&image(Message::Update, 1, "a"), "messagepropertyname", text("Id")), 0x8004_416b),
        (image(Message::Create, 0, "a"), 0x8004_416d),
        (image(Message::Create, 2, "a"), 0x8004_416d),
        (image(Message::Delete, 1, "a"), 0x8004_416d),
        (image(Message::Delete, 0, "a"), 0),
        (image(Message::Update, 2, "a"), 0),
        (with(&image(Message::Update, 1, "a"), "attributes", text("")), 0x8004_0203),
        (with(&image(Message::Update, 1, "a"), "entityalias", Value::Null), 0x8004_0203),
    ];
    for (row, expected) in cases {
        assert_eq!(code(&tables, "sdkmessageprocessingstepimage", &row), expected, "{row:?}");
    }
    let update = id("sdkmessageprocessingstep", Message::Update);
    let step =
        tables.get_mut("sdkmessageprocessingstep").and_then(|rows| rows.get_mut(&update)).expect("the step");
    step.insert("stage".to_owned(), Value::Choice(20));
    assert_eq!(code(&tables, "sdkmessageprocessingstepimage", &image(Message::Update, 1, "a")), 0x8004_416e);
    assert_eq!(code(&tables, "sdkmessageprocessingstepimage", &image(Message::Update, 0, "a")), 0);
}

#[test]
fn an_endpoint_takes_its_steps_along_and_a_step_its_images() {
    let tables = registered("");
    let gone = check_delete(&tables, "serviceendpoint", ENDPOINT).expect("it may go");
    assert_eq!(gone.len(), 6);
    let first_step = gone.iter().position(|(table, _)| *table == "sdkmessageprocessingstep").expect("a step");
    assert_eq!(gone[first_step - 1].0, "sdkmessageprocessingstepimage", "images go first");
}

fn job(state: i32) -> Row {
    row([("statecode", Value::Choice(state)), ("statuscode", Value::Choice(state * 10))])
}

#[test]
fn jobs_are_resumed_postponed_and_cancelled_and_nothing_else() {
    let tables = Tables::new();
    let to =
        |state, status| row([("statecode", Value::Choice(state)), ("statuscode", Value::Choice(status))]);
    let later = || with(&to(0, 0), "postponeuntil", Value::Moment(now()));
    let cases = [
        ("resume", 1, to(0, 0), 0),
        ("resume what is ready", 0, to(0, 0), 0x8004_4166),
        ("resume what runs", 2, to(0, 0), 0x8004_4166),
        ("resume what failed", 3, to(0, 0), 0x8004_4162),
        ("postpone", 0, later(), 0),
        ("postpone what runs", 2, later(), 0),
        ("cancel", 0, to(3, 32), 0),
        ("cancel what waits", 1, to(3, 32), 0),
        ("cancel what failed", 3, to(3, 32), 0x8004_4162),
        ("call it done", 1, to(3, 30), 0x8004_4f00),
        ("pause", 2, to(1, 10), 0),
        ("pause what is ready", 0, to(1, 10), 0x8004_4f01),
    ];
    for (case, from, target, expected) in cases {
        let result = check_write(&tables, "asyncoperation", NEW, Some(&job(from)), &target);
        assert_eq!(result.err().map_or(0, |refusal| refusal.code), expected, "{case}");
    }
    assert_eq!(code(&tables, "asyncoperation", &to(0, 0)), 0x8004_0203);
    let with_job = |state| Tables::from([("asyncoperation".to_owned(), [(NEW, job(state))].into())]);
    assert!(check_delete(&with_job(3), "asyncoperation", NEW).is_ok());
    let refusal = check_delete(&with_job(1), "asyncoperation", NEW).err().map(|refusal| refusal.code);
    assert_eq!(refusal, Some(0x8004_416a));
}
