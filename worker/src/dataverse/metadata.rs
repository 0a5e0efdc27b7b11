//! What an environment says about its tables, and about what its users may do.

use serde::Deserialize;
use uuid::Uuid;

use super::{client::DataverseClient, error::Error};

/// Most columns of one table. The contact of a full Dynamics 365 has about 400.
const MOST: usize = 5_000;

/// A table, as far as it says how it can be read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Table {
    /// Whether changes of its rows are tracked.
    #[serde(default)]
    pub(crate) change_tracking_enabled: Option<bool>,
    /// What may be allowed on its rows.
    #[serde(default)]
    pub(crate) privileges: Vec<TablePrivilege>,
}

/// One privilege of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TablePrivilege {
    /// Its name, such as `prvReadContact`.
    pub(crate) name: Box<str>,
    /// Its id. Roles name privileges by id.
    pub(crate) privilege_id: Uuid,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Column {
    /// Its logical name.
    pub(crate) logical_name: Box<str>,
    /// Its type: `String`, `Picklist`, `Lookup` and others.
    #[serde(default)]
    pub(crate) attribute_type: Box<str>,
    /// Whether only those with a column security profile see its values. Others read null, and are told nothing.
    #[serde(default)]
    pub(crate) is_secured: Option<bool>,
    /// Whether rows show it at all.
    #[serde(default)]
    pub(crate) is_valid_for_read: Option<bool>,
}

/// What a user may do, and on which rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HeldPrivilege {
    /// On which rows.
    #[serde(default)]
    pub(crate) depth: Box<str>,
    /// Which privilege.
    #[serde(default)]
    pub(crate) privilege_id: Option<Uuid>,
    /// Its name, if the answer has it.
    #[serde(default)]
    pub(crate) privilege_name: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HeldPrivileges {
    role_privileges: Vec<HeldPrivilege>,
}

impl DataverseClient {
    /// A table, by its logical name.
    pub(crate) async fn table(&self, name: &str) -> Result<Table, Error> {
        self.row(&format!("EntityDefinitions(LogicalName='{name}')?$select=ChangeTrackingEnabled,Privileges"))
            .await
    }

    /// All columns of a table.
    pub(crate) async fn columns(&self, table: &str) -> Result<Vec<Column>, Error> {
        let query = format!(
            "EntityDefinitions(LogicalName='{table}')/Attributes?$select=LogicalName,AttributeType,IsSecured,\
             IsValidForRead"
        );
        self.rows(&query, MOST).await
    }

    /// What a user may do by all of his roles.
    pub(crate) async fn privileges(&self, user: Uuid) -> Result<Vec<HeldPrivilege>, Error> {
        let query = format!("systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
        Ok(self.row::<HeldPrivileges>(&query).await?.role_privileges)
    }
}
