//! How the rules refuse.

use crate::dataverse::{
    refusal::Refusal,
    value::{Row, Value},
};

/// Refuses a row in which a column is empty.
pub(super) fn require(row: &Row, table: &str, columns: &[&str]) -> Result<(), Refusal> {
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
pub(super) fn one_of(number: Option<i32>, column: &str, choices: &[i32]) -> Result<(), Refusal> {
    match number {
        Some(number) if !choices.contains(&number) => Err(invalid(&format!(
            "A validation error occurred. The value {number} of '{column}' is outside of the valid range."
        ))),
        _ => Ok(()),
    }
}

pub(super) fn refuse(code: u32, message: &str) -> Refusal {
    Refusal::new(400, code, message)
}

pub(super) fn invalid(message: &str) -> Refusal {
    refuse(0x8004_0203, message)
}
