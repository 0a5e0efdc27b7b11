//! Rows as a context carries them: targets and images.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{
    node::{Members, Node},
    steps::Image,
};
use crate::dataverse::{
    value::{Row, Value},
    written::{Message, Written},
};

/// The primary id column of a table.
pub(super) fn id_column(table: &str) -> String {
    format!("{table}id")
}

/// The column that names a row of a table.
pub(super) fn name_column(table: &str) -> &'static str {
    match table {
        "contact" | "systemuser" => "fullname",
        "adx_externalidentity" => "adx_username",
        _ => "name",
    }
}

/// What `Target` is: a reference where the row was removed, else its columns.
pub(super) fn target(written: &Written) -> Node {
    let Written { table, id, .. } = written;
    if written.message == Message::Delete {
        return Node::Typed("EntityReference", Node::reference(table, *id, None));
    }
    let columns = target_columns(written);
    let attributes = columns.iter().map(|(name, value)| (name.clone(), attribute(value, false))).collect();
    // The asynchronous service gives display texts with what was made, and none with what was changed.
    let formatted = if written.message == Message::Create { formatted(&columns) } else { Vec::new() };
    Node::Typed("Entity", Node::entity(table, *id, attributes, formatted))
}

/// What the request set and no more, as the event before this one carried it.
pub(super) fn requested(written: &Written) -> Node {
    let Written { table, id, .. } = written;
    if written.message == Message::Delete {
        return Node::Typed("EntityReference", Node::reference(table, *id, None));
    }
    let mut attributes: Vec<_> =
        written.target.iter().map(|(name, value)| (name.clone(), attribute(value, false))).collect();
    let id_name = id_column(table);
    if !written.target.contains_key(&id_name) {
        attributes.push((id_name, Node::Guid(*id)));
    }
    Node::Typed("Entity", Node::entity(table, *id, attributes, Vec::new()))
}

/// The columns of a target: those of the request, and those that the platform has set with them.
fn target_columns(written: &Written) -> Row {
    let Written { table, id, .. } = written;
    let mut columns = written.target.clone();
    let after = written.after.iter().flatten();
    match written.message {
        Message::Create => {
            let set = after.filter(|(name, value)| **value != Value::Null && *name != "versionnumber");
            columns.extend(set.map(|(name, value)| (name.clone(), value.clone())));
        }
        Message::Update | Message::Delete => {
            let before = written.before.as_ref();
            let composed = after.filter(|(name, value)| {
                ["fullname", "yomifullname"].contains(&&***name)
                    && before.and_then(|before| before.get(*name)) != Some(value)
            });
            columns.extend(composed.map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    let user = Value::Lookup { table: "systemuser".to_owned(), id: written.user, name: None };
    let after = written.after.as_ref();
    let set = |name: &str, otherwise| {
        (name.to_owned(), after.and_then(|after| after.get(name)).cloned().unwrap_or(otherwise))
    };
    columns.extend([
        (id_column(table), Value::Guid(*id)),
        set("modifiedon", Value::Moment(written.at)),
        set("modifiedby", user),
        ("modifiedonbehalfby".to_owned(), Value::Null),
    ]);
    columns
}

/// An image: the registered columns that are not empty.
pub(super) fn image(table: &str, id: Uuid, row: &Row, image: &Image) -> Node {
    let wanted: Option<BTreeSet<&str>> =
        image.columns.as_ref().map(|columns| columns.iter().map(String::as_str).collect());
    let registered = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
    let columns: Row = row
        .iter()
        .filter(|(name, value)| registered(name) && **value != Value::Null)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let attributes = columns.iter().map(|(name, value)| (name.clone(), attribute(value, true))).collect();
    Node::Members(Node::entity(table, id, attributes, formatted(&columns)))
}

/// The image that the asynchronous service adds by itself: name and id.
pub(super) fn primary_name_image(table: &str, id: Uuid, row: &Row) -> Node {
    let mut attributes = Vec::new();
    let name = name_column(table);
    if let Some(value) = row.get(name).filter(|value| **value != Value::Null) {
        attributes.push((name.to_owned(), attribute(value, true)));
    }
    attributes.push((id_column(table), Node::Guid(id)));
    Node::Members(Node::entity(table, id, attributes, Vec::new()))
}

/// A value of any type. Only images know how other rows are called.
fn attribute(value: &Value, named: bool) -> Node {
    match value {
        Value::Null => Node::Nil,
        Value::Bool(truth) => Node::Bool(*truth),
        Value::Int(number) => Node::Int(*number),
        Value::Long(number) => Node::Long(*number),
        Value::Double(number) => Node::Double(*number),
        Value::Text(text) => Node::Text(text.clone()),
        Value::Guid(id) => Node::Guid(*id),
        Value::Moment(moment) => Node::Moment(*moment),
        Value::Choice(number) => Node::choice(*number),
        Value::Lookup { table, id, name } => {
            let name = name.as_deref().filter(|_| named);
            Node::Typed("EntityReference", Node::reference(table, *id, name))
        }
    }
}

/// Display texts, of those columns that have one.
fn formatted(columns: &Row) -> Vec<(String, Node)> {
    let shown = columns
        .iter()
        .filter_map(|(column, value)| Some((column.clone(), Node::Text(display(column, value)?))));
    shown.collect()
}

fn display(column: &str, value: &Value) -> Option<String> {
    match value {
        Value::Lookup { name, .. } => name.clone(),
        Value::Bool(truth) => Some(if *truth { "Yes" } else { "No" }.to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Moment(moment) => Some(format!("{}-00:00", TimeZone::UTC.to_datetime(*moment))),
        Value::Choice(number) => match (column, number) {
            ("statecode", 0) | ("statuscode", 1) => Some("Active".to_owned()),
            ("statecode", 1) | ("statuscode", 2) => Some("Inactive".to_owned()),
            // The labels of other choices are not known here.
            _ => None,
        },
        Value::Null | Value::Long(_) | Value::Double(_) | Value::Text(_) | Value::Guid(_) => None,
    }
}

/// Members of a reference to the step that fired.
pub(super) fn owning_extension(step: Uuid) -> Members {
    Node::reference("sdkmessageprocessingstep", step, None)
}
