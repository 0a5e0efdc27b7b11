//! Which steps a write fires, and with which images.

use uuid::Uuid;

use super::columns::{
    ENDPOINT, FILTER, IMAGE, JOB, MESSAGE, STEP, children, choice, follow, list, lookup, text, truth,
};
use crate::dataverse::{
    value::{Row, Tables},
    written::{Message, Written},
};

/// A step that a write fires.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) images: Vec<Image>,
}

/// An image that a step has.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) alias: String,
    pub(super) before: bool,
    pub(super) after: bool,
    /// Logical names; none means all columns.
    pub(super) columns: Option<Vec<String>>,
}

/// The name of a message as `sdkmessage` has it.
pub(super) fn message_name(message: Message) -> &'static str {
    match message {
        Message::Create => "Create",
        Message::Update => "Update",
        Message::Delete => "Delete",
    }
}

/// The asynchronous steps that a write fires, by rank.
pub(super) fn fired(tables: &Tables, written: &Written) -> Vec<Step> {
    // Steps without a filter do not see the platform at its own work.
    if [ENDPOINT, STEP, IMAGE, MESSAGE, FILTER, JOB].contains(&&*written.table) {
        return Vec::new();
    }
    let mut steps: Vec<_> = tables
        .get(STEP)
        .into_iter()
        .flatten()
        .filter(|(_, row)| fires(tables, row, written))
        .map(|(id, row)| (choice(row, "rank").unwrap_or(1), *id, row))
        .collect();
    steps.sort_by_key(|(rank, id, _)| (*rank, *id));
    let step = |(_, id, row): (i32, Uuid, &Row)| Step {
        id,
        name: text(row, "name").unwrap_or_default().to_owned(),
        images: children(tables, IMAGE, "sdkmessageprocessingstepid", id)
            .map(|(_, row)| image(row))
            .collect(),
    };
    steps.into_iter().map(step).collect()
}

fn fires(tables: &Tables, step: &Row, written: &Written) -> bool {
    let message = follow(tables, step, "sdkmessageid", MESSAGE).and_then(|row| text(row, "name"));
    // A step without a filter fires for every table.
    let table = match lookup(step, "sdkmessagefilterid") {
        None => Some(&*written.table),
        Some(id) => tables.get(FILTER).and_then(|rows| text(rows.get(&id)?, "primaryobjecttypecode")),
    };
    let passed_over = written.bypass && truth(step, "canbebypassed") != Some(false);
    choice(step, "statecode").unwrap_or(0) == 0
        && choice(step, "stage") == Some(40)
        && choice(step, "mode") == Some(1)
        && message == Some(message_name(written.message))
        && table == Some(&*written.table)
        && !passed_over
        && (written.message != Message::Update || has_filtered_column(step, written))
}

/// Whether a column that the step waits for is in the request, be it with the same value.
fn has_filtered_column(step: &Row, written: &Written) -> bool {
    let Some(columns) = text(step, "filteringattributes") else { return true };
    list(columns).any(|column| written.target.contains_key(column))
}

fn image(row: &Row) -> Image {
    let kind = choice(row, "imagetype");
    let alias = text(row, "entityalias").or_else(|| text(row, "name")).unwrap_or_default();
    Image {
        alias: alias.to_owned(),
        before: matches!(kind, Some(0 | 2)),
        after: matches!(kind, Some(1 | 2)),
        columns: text(row, "attributes").map(|columns| list(columns).map(str::to_owned).collect()),
    }
}
