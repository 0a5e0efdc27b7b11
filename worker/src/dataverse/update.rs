//! The message of an update of one contact, in JSON as Dataverse posts it. Nobody initiated it: the row is as it was before.

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::ids::{ContactId, OrganizationId};
use uuid::Uuid;

const CONTACT: &str = "contact";

/// An update, and the post image that comes along. There is no pre image: nobody knows what was before.
pub(crate) struct ContactUpdate {
    /// The organization.
    pub(crate) organization: OrganizationId,
    /// The contact.
    pub(crate) contact: ContactId,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// The same for all messages of one run.
    pub(crate) correlation: Uuid,
    /// What a system job would be.
    pub(crate) operation: Uuid,
    /// The columns that are set, as [`attribute`] makes them.
    pub(crate) target: Vec<Value>,
    /// Name of the image.
    pub(crate) alias: &'static str,
    /// Its columns.
    pub(crate) image: Vec<Value>,
    /// Texts of choices, as attributes.
    pub(crate) labels: Vec<Value>,
}

impl ContactUpdate {
    /// The body of the message.
    pub(crate) fn body(self) -> Vec<u8> {
        let id = self.contact.to_string();
        let entity = |attributes: Vec<Value>| {
            json!({
                "__type": contract("Entity"), "Attributes": attributes, "EntityState": null,
                "FormattedValues": self.labels, "Id": id, "KeyAttributes": [], "LogicalName": CONTACT,
                "RelatedEntities": [], "RowVersion": null,
            })
        };
        let nil = Uuid::nil();
        let context = json!({
            "BusinessUnitId": nil, "CorrelationId": self.correlation, "Depth": 1, "InitiatingUserId": nil,
            "InputParameters": [{"key": "Target", "value": entity(self.target)}],
            "IsExecutingOffline": false, "IsInTransaction": false, "MessageName": "Update", "Mode": 1,
            "OperationCreatedOn": format!("/Date({}+0000)/", self.at.as_millisecond()),
            "OperationId": self.operation, "OrganizationId": self.organization.to_string(), "OutputParameters": [],
            "PostEntityImages": [{"key": self.alias, "value": entity(self.image)}], "PreEntityImages": [],
            "PrimaryEntityId": id, "PrimaryEntityName": CONTACT, "SecondaryEntityName": "none",
            "SharedVariables": [], "Stage": 40, "UserId": nil,
        });
        context.to_string().into_bytes()
    }
}

/// A column and its value.
pub(crate) fn attribute(name: &str, value: impl Into<Value>) -> Value {
    json!({"key": name, "value": value.into()})
}

/// A choice, by its number.
pub(crate) fn choice(number: i64) -> Value {
    json!({"__type": contract("OptionSetValue"), "Value": number})
}

/// Another row, by its id; its table and its name as far as they are known.
pub(crate) fn reference(id: Option<Uuid>, table: impl Into<Value>, name: impl Into<Value>) -> Value {
    json!({
        "__type": contract("EntityReference"), "Id": id, "KeyAttributes": [], "LogicalName": table.into(),
        "Name": name.into(), "RowVersion": null,
    })
}

/// The full name of a type of Dataverse's.
pub(crate) fn contract(name: &str) -> String {
    format!("{name}:http://schemas.microsoft.com/xrm/2011/Contracts")
}
