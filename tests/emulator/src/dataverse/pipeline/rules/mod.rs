//! What may be registered, and what may be done to system jobs.

mod cascade;
mod endpoint;
mod image;
mod job;
mod step;

use uuid::Uuid;

pub use cascade::check_delete;

use super::columns::{ENDPOINT, IMAGE, JOB, STEP};
use crate::dataverse::{
    refusal::Refusal,
    value::{Row, Tables, Value},
};

/// Whether a row may be made, or changed, as a request wants it. `target` is what the request sets; `before` is the row
/// as it is, or nothing where it is made. Tables that are no part of the registration have no rules here.
pub fn check_write(
    tables: &Tables,
    table: &str,
    id: Uuid,
    before: Option<&Row>,
    target: &Row,
) -> Result<(), Refusal> {
    let after = || merged(before, target);
    match table {
        ENDPOINT => endpoint::check(&after(), target),
        STEP => step::check(tables, id, before, &after()),
        IMAGE => image::check(tables, &after()),
        JOB => job::check(before, target),
        _ => Ok(()),
    }
}

/// The row as it will be.
fn merged(before: Option<&Row>, target: &Row) -> Row {
    let mut row = before.cloned().unwrap_or_default();
    row.extend(target.iter().map(|(name, value)| (name.clone(), value.clone())));
    row
}

/// Refuses a row in which a column is empty.
fn require(row: &Row, table: &str, columns: &[&str]) -> Result<(), Refusal> {
    for column in columns {
        let empty = match row.get(*column) {
            None | Some(Value::Null) => true,
            Some(Value::Text(text)) => text.is_empty(),
            Some(_) => false,
        };
        if empty {
            return Err(invalid(&format!("'{table}': the column '{column}' is required.")));
        }
    }
    Ok(())
}

/// Refuses a number that is no choice of the column. An absent one is for others to judge.
fn one_of(number: Option<i32>, column: &str, choices: &[i32]) -> Result<(), Refusal> {
    match number {
        Some(number) if !choices.contains(&number) => Err(invalid(&format!(
            "A validation error occurred. The value {number} of '{column}' is outside of the valid range."
        ))),
        _ => Ok(()),
    }
}

fn refuse(code: u32, message: &str) -> Refusal {
    Refusal::new(400, code, message)
}

fn invalid(message: &str) -> Refusal {
    refuse(0x8004_0203, message)
}
