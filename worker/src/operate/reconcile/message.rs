//! A row as the change that a step of Dataverse would have posted: an update of the whole contact, with a post image.

use bytes::Bytes;
use serde_json::{Value, json};
use servicebus::Outgoing;
use shared::{
    change::{ColumnValue, Columns},
    drift::TableRow,
};
use uuid::Uuid;

use crate::dataverse::{ContactUpdate, attribute, choice, reference};

/// The message of a row, without what stands beside its body.
pub(super) fn message(row: &TableRow, run: Uuid) -> Outgoing {
    // Dataverse may leave empty columns out of an image; here they are shown, so that none is taken for one that was left out
    // because a person has to decide about it.
    let (target, mut image) = (attributes(&row.columns), attributes(&row.columns));
    if let Some(version) = row.version.row {
        image.push(attribute("versionnumber", version.number));
    }
    let update = ContactUpdate {
        organization: row.organization,
        contact: row.contact,
        at: row.version.at,
        correlation: run,
        operation: Uuid::new_v5(&run, row.contact.0.as_bytes()),
        target,
        alias: "reconcile",
        image,
        labels: Vec::new(),
    };
    Outgoing {
        content_type: Some("application/json".into()),
        body: Bytes::from(update.body()),
        ..Outgoing::default()
    }
}

fn attributes(columns: &Columns) -> Vec<Value> {
    columns.iter().map(|(name, value)| attribute(name, value_of(value))).collect()
}

fn value_of(value: &ColumnValue) -> Value {
    match value {
        ColumnValue::Null | ColumnValue::Unsupported(_) => Value::Null,
        ColumnValue::Text(text) => json!(text),
        ColumnValue::Bool(yes) => json!(yes),
        ColumnValue::Choice { value, .. } => choice(*value),
        ColumnValue::Lookup { id, .. } => reference(*id, "", Value::Null),
    }
}
