//! Who holds a directory role, and which of them the worker has written: for `check`, which warns of administrators that
//! contacts are linked with.
//!
//! Source: Microsoft's "List unifiedRoleAssignments".

use serde::Deserialize;
use shared::{
    ids::UserId,
    priority::Priority,
    reconcile::{Current, ReadPolicy},
};
use url::Url;

use super::{GraphClient, Method, Outline, mark::nothing};
use crate::graph::Error;

/// Pages of role assignments that are read; a tenant has a few dozen of them.
const PAGES: usize = 20;

#[derive(Deserialize)]
struct Page {
    value: Vec<Assignment>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

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
        let (mut holders, mut next) = (Vec::new(), Some(assignments));
        for _ in 0..PAGES {
            let Some(url) = next else { break };
            let page = self.page(url).await?;
            holders
                .extend(page.value.iter().filter_map(|assignment| UserId::parse(&assignment.principal_id)));
            next = page.next.and_then(|link| self.below(&link));
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

    /// The path of Graph below which everything lies.
    pub(super) fn base(&self) -> &str {
        let users = self.users.path();
        users.strip_suffix("users/").unwrap_or(users)
    }

    async fn page(&self, url: Url) -> Result<Page, Error> {
        let yields = self.yields(Priority::default());
        let call = Outline { method: Method::Get, url, body: bytes::Bytes::new(), yields };
        self.fetch(&call, |body| serde_json::from_slice(body).ok()).await
    }

    /// The address of the next page, if it stays below Graph's root: the token goes nowhere else.
    fn below(&self, link: &str) -> Option<Url> {
        let link = Url::parse(link).ok()?;
        let stays = link.host_str() == self.users.host_str() && link.path().starts_with(self.base());
        let mut url = self.users.clone();
        url.set_path(link.path());
        url.set_query(link.query());
        stays.then_some(url)
    }
}
