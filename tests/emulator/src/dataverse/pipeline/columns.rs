//! Reading rows of the registration, whose columns may be missing.

use uuid::Uuid;

use crate::dataverse::value::{Row, Tables, Value};

/// Tables of the registration and of the system jobs.
pub(super) const ENDPOINT: &str = "serviceendpoint";
pub(super) const STEP: &str = "sdkmessageprocessingstep";
pub(super) const IMAGE: &str = "sdkmessageprocessingstepimage";
pub(super) const MESSAGE: &str = "sdkmessage";
pub(super) const FILTER: &str = "sdkmessagefilter";
pub(super) const JOB: &str = "asyncoperation";

/// The number of a choice.
pub(super) fn choice(row: &Row, column: &str) -> Option<i32> {
    match row.get(column)? {
        Value::Choice(number) | Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// Text that is not empty.
pub(super) fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match row.get(column)? {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

pub(super) fn truth(row: &Row, column: &str) -> Option<bool> {
    match row.get(column)? {
        Value::Bool(truth) => Some(*truth),
        _ => None,
    }
}

/// The id of another row.
pub(super) fn lookup(row: &Row, column: &str) -> Option<Uuid> {
    match row.get(column)? {
        Value::Lookup { id, .. } | Value::Guid(id) => Some(*id),
        _ => None,
    }
}

/// The row that a column points to, if there is one.
pub(super) fn follow<'a>(tables: &'a Tables, row: &Row, column: &str, table: &str) -> Option<&'a Row> {
    tables.get(table)?.get(&lookup(row, column)?)
}

/// Logical names that are listed with commas.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Rows of a table that point to this row.
pub(super) fn children<'a>(
    tables: &'a Tables,
    table: &str,
    column: &'a str,
    parent: Uuid,
) -> impl Iterator<Item = (Uuid, &'a Row)> {
    let rows = tables.get(table).into_iter().flatten();
    rows.filter(move |(_, row)| lookup(row, column) == Some(parent)).map(|(id, row)| (*id, row))
}
