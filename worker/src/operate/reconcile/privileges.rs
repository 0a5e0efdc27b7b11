//! What the application user may read, as far as Dataverse tells.
//!
//! Source: Microsoft's page of `RetrieveTotalRecordCount`.

use serde::Deserialize;
use shared::ids::OrganizationId;

use super::ReconcileError;
use crate::dataverse::{Client, Error, HeldRights, PrivilegeDepth, READ_CONTACT};

/// Who reads, and how much he sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContactAccess {
    /// The organization.
    pub(crate) organization: OrganizationId,
    /// Whether every contact can be read; `None` if Dataverse does not tell.
    pub(crate) reads_all: Option<bool>,
    /// How many contacts there were within the last day, if Dataverse tells.
    pub(crate) counted: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counted {
    entity_record_count_collection: Counts,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    values: Vec<u64>,
}

impl ContactAccess {
    /// Asks who reads.
    pub(crate) async fn ask(client: &Client) -> Result<Self, ReconcileError> {
        let me = client.who_am_i().await?;
        let table = told(client.table("contact").await, "ids of privileges");
        let privileges = told(client.privileges(me.user_id).await, "privileges");
        let reads_all = privileges.map(|held| {
            let rights = HeldRights { held: &held, table: table.as_ref() };
            rights.depth(READ_CONTACT) == Some(PrivilegeDepth::Global)
        });
        let query = "RetrieveTotalRecordCount(EntityNames=['contact'])";
        let counted = told(client.row::<Counted>(query).await, "number of contacts");
        let counted =
            counted.and_then(|counted| counted.entity_record_count_collection.values.first().copied());
        Ok(Self { organization: me.organization_id, reads_all, counted })
    }
}

/// What is only a safeguard may be unknown; what that means decides who holds it against the rest.
fn told<T>(answer: Result<T, Error>, what: &'static str) -> Option<T> {
    answer
        .inspect_err(|error| tracing::warn!(error = %error.explained(), what, "dataverse does not tell this"))
        .ok()
}
