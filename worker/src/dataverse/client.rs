//! What can be asked of the Web API of one environment.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method,
    header::{HeaderName, HeaderValue, IF_MATCH},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::retry::Ladder;
use url::Url;
use uuid::Uuid;

use super::{
    challenge::Challenge,
    channel::{Channel, Outline},
    code::Kind,
    error::Error,
    page::RowPages,
    rows::{CurrentOrganization, Organization, WhoAmI},
};
use crate::{http_client, identity::TokenProvider};

/// Most rows of a page, by Dataverse's limit for standard tables.
pub(crate) const PAGE: usize = 5_000;
/// Most ids in one question: with 39 characters each they stay far below the longest address.
const IDS: usize = 100;

const ONCE: Ladder = Ladder::fixed(Duration::from_secs(1), Duration::from_secs(1)).with_tries(1);

const SOLUTION: HeaderName = HeaderName::from_static("mscrm.solutionuniquename");
/// One page with the texts of choices, and with names and tables of lookups.
const ANNOTATED: &str = "odata.maxpagesize=5000,odata.include-annotations=\"OData.Community.Display.V1.FormattedValue,\
                         Microsoft.Dynamics.CRM.lookuplogicalname\"";

/// The Web API of one environment.
pub(crate) struct DataverseClient {
    channel: Channel,
}

impl DataverseClient {
    /// A client of the environment at `url`, by tokens whose resource is the origin of that address.
    #[must_use]
    pub(crate) fn new(http: &http_client::Client, tokens: Arc<dyn TokenProvider>, url: &Url) -> Self {
        Self { channel: Channel::new(http, tokens, url) }
    }

    /// The same for whoever decides himself when something is asked again: each request is tried once.
    #[must_use]
    pub(super) fn once(self) -> Self {
        Self { channel: self.channel.waiting(ONCE) }
    }

    /// The same with other waits between tries.
    #[cfg(test)]
    pub(super) fn waiting(self, ladder: Ladder) -> Self {
        Self { channel: self.channel.waiting(ladder) }
    }

    /// Who calls, and in which organization. Needs no role.
    pub(crate) async fn who_am_i(&self) -> Result<WhoAmI, Error> {
        self.row("WhoAmI").await
    }

    /// What the environment says about itself.
    pub(crate) async fn organization(&self) -> Result<Organization, Error> {
        let current =
            "RetrieveCurrentOrganization(AccessType=Microsoft.Dynamics.CRM.EndpointAccessType'Default')";
        Ok(self.row::<CurrentOrganization>(current).await?.detail)
    }

    /// One row, or the answer of a function, by its address below the Web API.
    pub(crate) async fn row<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, Error> {
        self.channel.read(&Outline::row(self.channel.url(path_and_query))).await
    }

    /// All rows of a list; more than `most` are an error, because a part of them would look like the whole.
    pub(crate) async fn rows<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        most: usize,
    ) -> Result<Vec<T>, Error> {
        let (rows, more) = self.first_rows(path_and_query, most).await?;
        if more { Err(Error::TooMany { most }) } else { Ok(rows) }
    }

    /// The first rows of a list, at most so many, and whether there are more.
    pub(crate) async fn first_rows<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        most: usize,
    ) -> Result<(Vec<T>, bool), Error> {
        gather(self.pages(path_and_query, most.saturating_add(1)), most).await
    }

    /// The pages of a list, of at most so many rows each.
    pub(crate) fn pages<T: DeserializeOwned>(&self, path_and_query: &str, size: usize) -> RowPages<'_, T> {
        RowPages::new(&self.channel, self.channel.url(path_and_query), page_of(size))
    }

    /// The same with the changes tracked, so that the last page has a link to what has changed since. Such a list cannot be
    /// filtered. Without change tracking of the table there is no link.
    pub(crate) fn tracked_pages<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        size: usize,
    ) -> RowPages<'_, T> {
        RowPages::new(
            &self.channel,
            self.channel.url(path_and_query),
            preferring(size, ",odata.track-changes"),
        )
    }

    /// What has changed behind a link of [`RowPages::delta_link`]: rows as they are now, and what is left of those that were
    /// deleted. `None` if the link leads to somewhere else.
    pub(crate) fn changes<T: DeserializeOwned>(&self, link: &str, size: usize) -> Option<RowPages<'_, T>> {
        Some(RowPages::new(&self.channel, self.channel.below(link)?, page_of(size)))
    }

    /// Requests so far, those that were tried again included.
    pub(crate) fn requests(&self) -> u64 {
        self.channel.requests()
    }

    /// The rows with these ids, in no order; ids without a row are left out. Choices and lookups come with their texts.
    pub(crate) async fn rows_by_id<T: DeserializeOwned>(
        &self,
        set: &str,
        key: &str,
        ids: &[Uuid],
        select: &str,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS) {
            let list: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
            let query = format!(
                "{set}?$select={select}&$filter=Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)\
                 &@p1='{key}'&@p2=[{}]",
                list.join(",")
            );
            let prefer = HeaderValue::from_static(ANNOTATED);
            let (page, more) =
                gather(RowPages::new(&self.channel, self.channel.url(&query), prefer), IDS).await?;
            if more {
                return Err(Error::TooMany { most: IDS });
            }
            rows.extend(page);
        }
        Ok(rows)
    }

    /// Makes a row, as a component of an unmanaged solution if one is named, and returns its id.
    ///
    /// It is tried again only where it certainly was not made: the limits refused it, or no connection came about. Otherwise
    /// [`Error::Undecided`] tells that the row may be there.
    pub(crate) async fn create(
        &self,
        set: &str,
        body: &Value,
        solution: Option<&str>,
    ) -> Result<Uuid, Error> {
        let mut call = Outline::write(Method::POST, self.channel.url(set), Some(body), false);
        if let Some(solution) = solution {
            let value = HeaderValue::try_from(solution).map_err(|_| {
                Error::Senseless("the name of the solution cannot be sent in a header".into())
            })?;
            call = call.with(SOLUTION, value);
        }
        let answer = self.channel.ask(&call).await?;
        let id = answer.entity.as_deref().and_then(id_of);
        id.ok_or_else(|| Error::Undecided(Box::new(Error::Senseless("it names no row that was made".into()))))
    }

    /// Gives an existing row these values; a row that is not there is not made. Tried again like a read, because the same
    /// values twice are the same as once.
    pub(crate) async fn update(&self, set: &str, id: Uuid, body: &Value) -> Result<(), Error> {
        let call = Outline::write(Method::PATCH, self.channel.url(&format!("{set}({id})")), Some(body), true);
        self.channel.ask(&call.with(IF_MATCH, HeaderValue::from_static("*"))).await.map(drop)
    }

    /// Gives a row these values if it is still at that version, with a tag that the messages about it carry. It is not
    /// tried again once it may have been done: a second time would make a second message.
    pub(crate) async fn touch(
        &self,
        set: &str,
        id: Uuid,
        version: &str,
        tag: &str,
        body: &Value,
    ) -> Result<(), Error> {
        let url = self.channel.url(&format!("{set}({id})?tag={tag}"));
        let version = HeaderValue::try_from(version)
            .map_err(|_| Error::Senseless("the version of the row cannot be sent in a header".into()))?;
        let call = Outline::write(Method::PATCH, url, Some(body), false);
        self.channel.ask(&call.with(IF_MATCH, version)).await.map(drop)
    }

    /// Deletes a row. One that is not there is as good, so it may be tried again.
    pub(crate) async fn delete(&self, set: &str, id: Uuid) -> Result<(), Error> {
        let call = Outline::write(Method::DELETE, self.channel.url(&format!("{set}({id})")), None, true);
        match self.channel.ask(&call).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Some(Kind::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls an action that answers nothing of interest. Tried again as [`Client::create`] is.
    pub(crate) async fn act(&self, path: &str, body: &Value) -> Result<(), Error> {
        let call = Outline::write(Method::POST, self.channel.url(path), Some(body), false);
        self.channel.ask(&call).await.map(drop)
    }

    /// What the environment says to somebody without a token.
    pub(crate) async fn challenge(&self) -> Result<Challenge, Error> {
        self.channel.challenge().await
    }
}

async fn gather<T: DeserializeOwned>(
    mut pages: RowPages<'_, T>,
    most: usize,
) -> Result<(Vec<T>, bool), Error> {
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await? {
        rows.extend(page);
        if rows.len() > most {
            rows.truncate(most);
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}

/// The preference for pages of that size.
fn page_of(size: usize) -> HeaderValue {
    preferring(size, "")
}

fn preferring(size: usize, more: &str) -> HeaderValue {
    let text = format!("odata.maxpagesize={}{more}", size.clamp(1, PAGE));
    // Digits can be sent in a header; without the preference, pages would have their usual size.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The id at the end of `{api}/contacts(GUID)`.
fn id_of(address: &str) -> Option<Uuid> {
    let (_, rest) = address.rsplit_once('(')?;
    Uuid::try_parse(rest.strip_suffix(')')?).ok()
}
