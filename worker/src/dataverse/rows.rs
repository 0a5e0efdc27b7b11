//! Rows that more than one part reads, as Dataverse sends them.

use serde::{Deserialize, Deserializer};
use shared::ids::OrganizationId;
use uuid::Uuid;

/// Who calls, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "as Dataverse names them")]
pub(crate) struct WhoAmI {
    /// The organization. Messages of the queue carry the same id.
    #[serde(deserialize_with = "organization")]
    pub(crate) organization_id: OrganizationId,
    /// The application user (`systemuser`).
    pub(crate) user_id: Uuid,
    /// The business unit of that user.
    pub(crate) business_unit_id: Uuid,
}

fn organization<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OrganizationId, D::Error> {
    Uuid::deserialize(deserializer).map(OrganizationId)
}

/// What an environment says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "as Dataverse names them")]
pub(crate) struct Organization {
    /// The organization.
    #[serde(deserialize_with = "organization")]
    pub(crate) organization_id: OrganizationId,
    /// Name for people.
    #[serde(default)]
    pub(crate) friendly_name: Box<str>,
    /// Name among all organizations.
    #[serde(default)]
    pub(crate) unique_name: Box<str>,
    /// First part of its address.
    #[serde(default)]
    pub(crate) url_name: Box<str>,
    /// Tenant that it belongs to, if it says so.
    #[serde(default)]
    pub(crate) tenant_id: Option<Box<str>>,
    /// What it is for.
    #[serde(default)]
    pub(crate) organization_type: OrganizationType,
}

/// The answer of `RetrieveCurrentOrganization`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CurrentOrganization {
    pub(super) detail: Organization,
}

/// What an environment is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OrganizationType {
    /// Customers work with it.
    Production,
    /// A sandbox, a trial, or for developers.
    NotProduction,
    /// It does not say, or in a way that nobody knows.
    #[default]
    Unknown,
}

impl OrganizationType {
    /// Source: the enumeration `OrganizationType` of the Web API reference. JSON may have the name or the number.
    fn of(text: &str) -> Self {
        match text {
            "Customer" | "0" | "Secondary" | "4" | "Default" | "12" => Self::Production,
            "CustomerTest" | "5" | "CustomerFreeTest" | "6" | "CustomerPreview" | "7" | "TestDrive" | "9"
            | "EmailTrial" | "11" | "Developer" | "13" | "Trial" | "14" | "Teams" | "15" => {
                Self::NotProduction
            }
            _ => Self::Unknown,
        }
    }
}

impl<'de> Deserialize<'de> for OrganizationType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self::of(&text),
            number @ serde_json::Value::Number(_) => Self::of(&number.to_string()),
            _ => Self::Unknown,
        })
    }
}

/// A service endpoint, as far as it says where messages go. A key that was stored is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ServiceEndpoint {
    /// Its id.
    #[serde(rename = "serviceendpointid")]
    pub(crate) id: Uuid,
    /// Its name.
    #[serde(default)]
    pub(crate) name: Option<Box<str>>,
    /// What kind it is; [`ServiceEndpoint::QUEUE`] for a queue.
    #[serde(default)]
    pub(crate) contract: Option<i64>,
    /// Address of the namespace: `sb://NAME.servicebus.windows.net/`.
    #[serde(default, rename = "namespaceaddress")]
    pub(crate) address: Option<Box<str>>,
    /// Name of the queue or topic.
    #[serde(default)]
    pub(crate) path: Option<Box<str>>,
}

impl ServiceEndpoint {
    /// The entity set.
    pub(crate) const SET: &str = "serviceendpoints";
    /// Columns of the struct, for `$select`.
    pub(crate) const COLUMNS: &str = "name,contract,namespaceaddress,path";
    /// Contract of a persistent queue.
    pub(crate) const QUEUE: i64 = 6;
    /// Contract of a topic.
    pub(crate) const TOPIC: i64 = 5;
}
