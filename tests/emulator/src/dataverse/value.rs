//! Rows of tables, and the values in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

/// The value of a column. A column that is set to nothing holds [`Value::Null`]; one that was never set is absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number of 32 bits.
    Int(i32),
    /// A whole number of 64 bits, such as `versionnumber`.
    Long(i64),
    /// A number with decimals.
    Double(f64),
    /// Text.
    Text(String),
    /// An id.
    Guid(Uuid),
    /// A moment, in UTC, by the second.
    Moment(Timestamp),
    /// A choice, a state or a status reason, by its number.
    Choice(i32),
    /// Another row.
    Lookup {
        /// Logical name of its table.
        table: String,
        /// Its id.
        id: Uuid,
        /// What its primary name column says, where that is known.
        name: Option<String>,
    },
}

/// A row: logical names of columns, and their values.
pub type Row = BTreeMap<String, Value>;

/// All rows of an organization: logical names of tables, ids of rows.
pub type Tables = BTreeMap<String, BTreeMap<Uuid, Row>>;
