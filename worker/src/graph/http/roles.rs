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

use super::{GraphClient, LONGEST_BODY, Outline, StatusCode, mark::nothing, read_answer};
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
        let base = self.users.strip_suffix("users/").unwrap_or(&self.users);
        let assignments = format!("{base}roleManagement/directory/roleAssignments?$select=principalId");
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
        let reading = Reading { guard: self.reading.guard.clone(), ..Reading::default() };
        let reading = Reading { terms: self.reading.terms.clone(), ..reading };
        match self.read(&nothing(user), &reading).await {
            Ok(Current { mark, person, .. }) => {
                Ok(Some([mark, person.owner].into_iter().flatten().any(|text| !text.is_empty())))
            }
            Err(Error::Refused { answer, .. }) if answer.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn page(&self, target: &str) -> Result<Page, Error> {
        let target = PathAndQuery::try_from(target)
            .map_err(|cause| Error::Unreachable(super::Cause::Request(cause.into())))?;
        let call = Outline {
            method: super::Method::Get,
            target,
            body: bytes::Bytes::new(),
            yields: self.yields(Urgency::default()),
        };
        let answered = self.send(&call).await?;
        if answered.status() != StatusCode::OK {
            return Err(self.refused(read_answer(answered).await));
        }
        let headers = answered.headers().clone();
        let body = answered.body(LONGEST_BODY).await.map_err(Error::Unreachable)?;
        serde_json::from_slice(&body)
            .map_err(|_| self.refused(super::wire::answer(super::head(StatusCode::OK, &headers), &body)))
    }

    /// Path and query of a link to the next page, if it stays below Graph's root: the token goes nowhere else.
    fn below(&self, link: &str) -> Option<String> {
        let url = url::Url::parse(link).ok()?;
        let own = url.host_str()? == self.connections.host().split(':').next()?;
        let base = self.users.strip_suffix("users/")?;
        let target =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        (own && target.starts_with(base)).then_some(target)
    }
}
