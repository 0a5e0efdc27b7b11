//! Who holds a directory role, and which of them the worker has written: for `check`, which warns of administrators that
//! contacts are linked with.
//!
//! Source: Microsoft's "List unifiedRoleAssignments".

use serde::Deserialize;
use shared::{
    ids::UserId,
    reconcile::{Current, ReadPolicy},
};

use super::{GraphClient, mark::nothing};
use crate::graph::Error;

/// Pages of role assignments that are read; a tenant has a few dozen of them.
const PAGES: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    principal_id: String,
}

impl GraphClient {
    /// The principals that hold a directory role: users, and groups and apps as well. Needs a permission of its own.
    pub(crate) async fn role_holders(&self) -> Result<Vec<UserId>, Error> {
        let mut assignments = self.users.clone();
        assignments.set_path(&format!("{}roleManagement/directory/roleAssignments", self.base()));
        assignments.set_query(Some("$select=principalId"));
        let holder = |assignment: &[u8]| {
            let Assignment { principal_id } = serde_json::from_slice(assignment).ok()?;
            Some(UserId::parse(&principal_id))
        };
        let (mut holders, mut next) = (Vec::new(), Some(assignments));
        for _ in 0..PAGES {
            let Some(url) = next else { break };
            let page = self.page(&url, holder).await?;
            holders.extend(page.elements.into_iter().flatten());
            next = page.next;
        }
        holders.sort_unstable();
        holders.dedup();
        Ok(holders)
    }

    /// Whether this user carries the mark of the guard or belongs to a contact; `None` if there is no such user.
    pub(crate) async fn is_written(&self, user: UserId) -> Result<Option<bool>, Error> {
        let reading = ReadPolicy { diff: false, ..self.reading.clone() };
        match self.read(&nothing(user), &reading).await {
            Ok(Current { mark, person, .. }) => {
                Ok(Some([mark, person.owner].into_iter().flatten().any(|text| !text.is_empty())))
            }
            Err(Error::Refused { answer, .. }) if answer.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}
