//! Contexts as Dataverse posts them, in JSON.

use serde_json::{Value, json};

pub(super) const CONTACT: &str = "99999999-2222-4333-8444-000000000001";
pub(super) const USER: &str = "11111111-2222-4333-8444-000000000001";
pub(super) const OURS: &str = "00000000-0000-4000-8000-000000000007";
pub(super) const LINK: &str = "adx_identity_username";

pub(super) fn entity(id: &str, table: &str, columns: &Value) -> Value {
    let columns = columns.as_object().into_iter().flatten();
    let columns: Vec<_> = columns.map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts", "Attributes": columns,
        "Id": id, "LogicalName": table})
}

pub(super) fn context(name: &str, table: &str, input: &Value) -> Value {
    let key = if name.ends_with("Multiple") { "Targets" } else { "Target" };
    json!({"MessageName": name, "PrimaryEntityName": table, "PrimaryEntityId": CONTACT,
        "OperationCreatedOn": "/Date(1710408413000+0000)/", "OrganizationId": OURS,
        "InputParameters": [{"key": key, "value": input}]})
}

/// An update that sets these columns; the images show the others.
pub(super) fn update(set: &Value, before: &Value, after: &Value) -> Value {
    let mut context = context("Update", "contact", &entity(CONTACT, "contact", set));
    for (key, image) in [("PreEntityImages", before), ("PostEntityImages", after)] {
        if !image.is_null() {
            context[key] = json!([{"key": "Image", "value": entity(CONTACT, "contact", image)}]);
        }
    }
    context
}

pub(super) fn linked() -> Value {
    json!({ LINK: USER })
}

pub(super) fn several(members: &[(&str, Value)]) -> Value {
    let entities: Vec<_> = members.iter().map(|(id, columns)| entity(id, "contact", columns)).collect();
    let targets = json!({"__type": "EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts",
        "Entities": entities, "EntityName": "contact"});
    context("UpdateMultiple", "contact", &targets)
}
