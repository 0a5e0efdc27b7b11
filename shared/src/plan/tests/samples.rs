//! Changes for the tests of planning, as short as can be.

use uuid::Uuid;

use crate::{
    change::{Change, ChangeOrigin, ColumnValue, Columns, Operation},
    ids::ContactId,
    plan::Planner,
};

pub(in crate::plan) const USER: &str = "11111111-2222-4333-8444-aaaaaaaaaaaa";
pub(in crate::plan) const OTHER: &str = "11111111-2222-4333-8444-bbbbbbbbbbbb";
pub(in crate::plan) const LINK: &str = Planner::DEFAULT_LINK_COLUMN;

/// Columns by name; `-` is an emptied one.
pub(in crate::plan) type Table<'t> = &'t [(&'t str, &'t str)];

pub(in crate::plan) fn columns(table: Table<'_>) -> Columns {
    let value = |text: &str| if text == "-" { ColumnValue::Null } else { ColumnValue::Text(text.into()) };
    table.iter().map(|(name, text)| (*name, value(text))).collect()
}

/// A change of one contact; what is not empty of the images was registered.
pub(in crate::plan) fn change(
    operation: Operation,
    target: Table<'_>,
    before: Table<'_>,
    after: Table<'_>,
) -> Change {
    Change {
        organization: None,
        contact: ContactId(Uuid::from_u128(1)),
        operation,
        version: None,
        columns: columns(target),
        before: columns(before),
        after: columns(after),
        imaged: !before.is_empty() || !after.is_empty(),
        truncated: false,
        origin: ChangeOrigin::default(),
    }
}
