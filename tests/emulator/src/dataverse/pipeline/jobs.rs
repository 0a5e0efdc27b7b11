//! Rows of system jobs: how they begin, wait and end.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    columns::{JOB, STEP},
    entity::name_column,
    post::Failure,
    steps::{Step, message_name},
};
use crate::dataverse::{
    value::{Row, Value},
    written::Written,
};

/// A state and its status reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State(pub(super) i32, pub(super) i32);

impl State {
    pub(super) const READY: Self = Self(0, 0);
    pub(super) const WAITING: Self = Self(1, 10);
    pub(super) const RUNNING: Self = Self(2, 20);
    pub(super) const SUCCEEDED: Self = Self(3, 30);
    pub(super) const FAILED: Self = Self(3, 31);
    pub(super) const CANCELLED: Self = Self(3, 32);
}

/// The row of a new job.
pub(super) fn ready(job: Uuid, step: &Step, written: &Written, now: Timestamp) -> Row {
    let Written { table, id, before, after, .. } = written;
    let name = after.as_ref().or(before.as_ref()).and_then(|row| match row.get(name_column(table)) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    });
    let user = || Value::Lookup { table: "systemuser".to_owned(), id: written.user, name: None };
    let text = |text: &str| Value::Text(text.to_owned());
    let columns = [
        ("asyncoperationid", Value::Guid(job)),
        ("name", text(&step.name)),
        ("operationtype", Value::Choice(1)),
        (
            "owningextensionid",
            Value::Lookup { table: STEP.to_owned(), id: step.id, name: Some(step.name.clone()) },
        ),
        ("regardingobjectid", Value::Lookup { table: table.clone(), id: *id, name }),
        ("messagename", text(message_name(written.message))),
        ("primaryentitytype", text(table)),
        ("correlationid", Value::Guid(written.correlation)),
        ("requestid", Value::Guid(written.request)),
        ("depth", Value::Int(written.depth)),
        ("retrycount", Value::Int(0)),
        ("ownerid", user()),
        ("createdby", user()),
        ("createdon", Value::Moment(now)),
        ("modifiedon", Value::Moment(now)),
    ];
    let mut row: Row = columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    set_state(&mut row, State::READY);
    row
}

pub(super) fn set_state(row: &mut Row, State(state, status): State) {
    set(row, "statecode", Value::Choice(state));
    set(row, "statuscode", Value::Choice(status));
}

/// Somebody is at it.
pub(super) fn begin(row: &mut Row, now: Timestamp) {
    set_state(row, State::RUNNING);
    row.entry("startedon".to_owned()).or_insert(Value::Moment(now));
    set(row, "modifiedon", Value::Moment(now));
}

/// It is done.
pub(super) fn succeed(row: &mut Row, now: Timestamp) {
    set(row, "postponeuntil", Value::Null);
    set(row, "errorcode", Value::Null);
    end(row, State::SUCCEEDED, now);
}

/// It has come to nothing.
pub(super) fn fail(row: &mut Row, failure: &Failure, now: Timestamp) {
    explain(row, failure);
    set(row, "postponeuntil", Value::Null);
    end(row, State::FAILED, now);
}

/// It is tried again after a while.
pub(super) fn postpone(row: &mut Row, failure: &Failure, retries: i32, delay: Duration, now: Timestamp) {
    explain(row, failure);
    set(row, "retrycount", Value::Int(retries));
    set(row, "postponeuntil", Value::Moment(now.checked_add(delay).unwrap_or(now)));
    set(row, "modifiedon", Value::Moment(now));
    set_state(row, State::WAITING);
}

fn end(row: &mut Row, state: State, now: Timestamp) {
    set_state(row, state);
    if let Some(Value::Moment(started)) = row.get("startedon") {
        let seconds = now.duration_since(*started).as_secs();
        set(row, "executiontimespan", Value::Int(i32::try_from(seconds).unwrap_or(i32::MAX)));
    }
    set(row, "completedon", Value::Moment(now));
    set(row, "modifiedon", Value::Moment(now));
}

fn explain(row: &mut Row, failure: &Failure) {
    // The same 32 bits as in the answers of the Web API, with a sign.
    set(row, "errorcode", Value::Int(failure.code.cast_signed()));
    set(row, "message", Value::Text(failure.message.clone()));
    set(row, "friendlymessage", Value::Text(failure.message.clone()));
}

fn set(row: &mut Row, column: &str, value: Value) {
    row.insert(column.to_owned(), value);
}

/// All rows of system jobs.
pub(super) fn table(
    tables: &mut crate::dataverse::value::Tables,
) -> &mut std::collections::BTreeMap<Uuid, Row> {
    tables.entry(JOB.to_owned()).or_default()
}
