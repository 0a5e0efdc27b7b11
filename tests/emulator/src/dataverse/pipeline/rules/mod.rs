//! What may be registered, and what may be done to system jobs.

mod cascade;
mod endpoint;
mod image;
mod job;
mod refusals;
mod step;

use uuid::Uuid;

pub use cascade::check_delete;

use super::columns::{ENDPOINT, IMAGE, JOB, STEP};
use crate::dataverse::{
    refusal::Refusal,
    value::{Row, Tables},
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
