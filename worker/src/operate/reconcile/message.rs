//! A row as the change that a step of Dataverse would have posted: an update of the whole contact, with a post image.

use bytes::Bytes;
use serde_json::{Value, json};
use servicebus::Outgoing;
use shared::{
    change::{ColumnValue, Columns},
    drift::TableRow,
};
use uuid::Uuid;

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

/// The message of a row, without what stands beside its body.
pub(super) fn message(row: &TableRow, run: Uuid) -> Outgoing {
    Outgoing {
        content_type: Some("application/json".into()),
        body: Bytes::from(context(row, run).to_string()),
        ..Outgoing::default()
    }
}

/// The context. Nobody initiated it: the row is as it was before.
fn context(row: &TableRow, run: Uuid) -> Value {
    let contact = row.contact.to_string();
    let entity = |attributes: Vec<Value>| {
        json!({
            "__type": format!("Entity:{CONTRACTS}"), "Attributes": attributes, "EntityState": null,
            "FormattedValues": [], "Id": contact, "KeyAttributes": [], "LogicalName": "contact",
            "RelatedEntities": [], "RowVersion": null,
        })
    };
    let target = entity(attributes(&row.columns));
    // Dataverse may leave empty columns out of an image; here they are shown, so that none is taken for one that was left out
    // because a person has to decide about it.
    let mut image = attributes(&row.columns);
    if let Some(version) = row.version.row {
        image.push(json!({"key": "versionnumber", "value": version.number}));
    }
    let image = entity(image);
    let nil = Uuid::nil();
    json!({
        "BusinessUnitId": nil, "CorrelationId": run, "Depth": 1, "InitiatingUserId": nil,
        "InputParameters": [{"key": "Target", "value": target}], "MessageName": "Update", "Mode": 1,
        "OperationCreatedOn": format!("/Date({}+0000)/", row.version.at.as_millisecond()),
        "OperationId": Uuid::new_v5(&run, row.contact.0.as_bytes()),
        "OrganizationId": row.organization.to_string(), "OutputParameters": [],
        "PostEntityImages": [{"key": "reconcile", "value": image}], "PreEntityImages": [],
        "PrimaryEntityId": contact, "PrimaryEntityName": "contact", "SecondaryEntityName": "none",
        "SharedVariables": [], "Stage": 40, "UserId": nil,
    })
}

fn attributes(columns: &Columns) -> Vec<Value> {
    columns.iter().map(|(name, value)| json!({"key": name, "value": value_of(value)})).collect()
}

fn value_of(value: &ColumnValue) -> Value {
    match value {
        ColumnValue::Null | ColumnValue::Unsupported(_) => Value::Null,
        ColumnValue::Text(text) => json!(text),
        ColumnValue::Bool(yes) => json!(yes),
        ColumnValue::Choice { value, .. } => {
            json!({"__type": format!("OptionSetValue:{CONTRACTS}"), "Value": value})
        }
        ColumnValue::Lookup { id, .. } => json!({
            "__type": format!("EntityReference:{CONTRACTS}"), "Id": id.map(|id| id.to_string()), "KeyAttributes": [],
            "LogicalName": "", "Name": null, "RowVersion": null,
        }),
    }
}
