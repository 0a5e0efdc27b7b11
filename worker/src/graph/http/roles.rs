//! Who holds a directory role, and which of them the worker has written: for `check`, which warns of administrators that
//! contacts are linked with.
//!
//! Source: Microsoft's "List unifiedRoleAssignments".

use http::uri::PathAndQuery;
use serde::Deserialize;
use shared::{
    ids::UserId,
    reconcile::{Current, Reading},
    urgency::Urgency,
};

use super::{GraphClient, Outline, mark::nothing};
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
    pub async fn role_holders(&self) -> Result<Vec<UserId>, Error> {
        let assignments =
            format!("{}roleManagement/directory/roleAssignments?$select=principalId", self.base());
        let (mut holders, mut next) = (Vec::new(), Some(assignments));
        for _ in 0..PAGES {
            let Some(target) = next else { break };
            let page = self.page(&target).await?;
            holders
                .extend(page.value.iter().filter_map(|assignment| UserId::parse(&assignment.principal_id)));
            next = page.next.and_then(|link| self.below(&link));
        }
        holders.sort_unstable();
        holders.dedup();
        Ok(holders)
    }

    /// Whether this user carries the mark of the guard or belongs to a contact; `None` if there is no such user.
    pub async fn is_written(&self, user: UserId) -> Result<Option<bool>, Error> {
        let reading = Reading { diff: false, ..self.reading.clone() };
        match self.read(&nothing(user), &reading).await {
            Ok(Current { mark, person, .. }) => {
                Ok(Some([mark, person.owner].into_iter().flatten().any(|text| !text.is_empty())))
            }
            Err(Error::Refused { answer, .. }) if answer.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The path of Graph below which everything lies.
    fn base(&self) -> &str {
        self.users.strip_suffix("users/").unwrap_or(&self.users)
    }

    async fn page(&self, target: &str) -> Result<Page, Error> {
        let target = PathAndQuery::try_from(target)
            .map_err(|cause| Error::Unreachable(super::Cause::Request(cause.into())))?;
        let (method, yields) = (super::Method::Get, self.yields(Urgency::default()));
        let call = Outline { method, target, body: bytes::Bytes::new(), yields };
        self.fetch(&call, |body| serde_json::from_slice(body).ok()).await
    }

    /// Path and query of a link to the next page, if it stays below Graph's root: the token goes nowhere else.
    fn below(&self, link: &str) -> Option<String> {
        let url = url::Url::parse(link).ok()?;
        let own = url.host_str()? == self.connections.host().split(':').next()?;
        let target =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        (own && target.starts_with(self.base())).then_some(target)
    }
}
