//! Pages of a list, one after another.
//!
//! The token travels with each request, so a link to the next page is followed only if it stays below the address of the
//! settings. A link that comes again would go round in circles; a fault of the service has made it do so before.

use std::{collections::HashSet, marker::PhantomData};

use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{
    channel::{Channel, Outline},
    error::Error,
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Most pages of one list: 5,000 rows each make ten million rows.
const MOST_PAGES: usize = 2_000;

/// One page.
#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

/// The pages of a list that are still to come.
pub(crate) struct RowPages<'c, T> {
    channel: &'c Channel,
    next: Option<Url>,
    delta: Option<Box<str>>,
    prefer: HeaderValue,
    seen: HashSet<Url>,
    rows: PhantomData<fn() -> T>,
}

impl<'c, T: DeserializeOwned> RowPages<'c, T> {
    pub(super) fn new(channel: &'c Channel, first: Url, prefer: HeaderValue) -> Self {
        Self { channel, next: Some(first), delta: None, prefer, seen: HashSet::new(), rows: PhantomData }
    }

    /// The next page; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(url) = self.next.take() else { return Ok(None) };
        let page: Page<T> =
            self.channel.read(&Outline::list(url.clone()).with(PREFER, self.prefer.clone())).await?;
        self.seen.insert(url);
        // A link that leads elsewhere is refused when it is followed.
        self.delta = page.delta.map(Into::into);
        if let Some(link) = page.next {
            let url = self.channel.below(&link).ok_or(Error::Senseless(
                "the link to the next page leads away from dataverse.url, where the token must not go".into(),
            ))?;
            if self.seen.contains(&url) {
                return Err(Error::Senseless(
                    "the link to the next page leads back to one that was read".into(),
                ));
            }
            if self.seen.len() >= MOST_PAGES {
                return Err(Error::Senseless("the list has no end".into()));
            }
            self.next = Some(url);
        }
        Ok(Some(page.value))
    }

    /// Behind the last page: the link to what has changed since, if changes are tracked.
    pub(crate) fn delta_link(&self) -> Option<&str> {
        self.delta.as_deref().filter(|_| self.next.is_none())
    }
}
