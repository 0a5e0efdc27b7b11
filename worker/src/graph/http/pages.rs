//! Lists that Graph gives page by page. A page that cannot be read whole, or that leads to somebody else, is no answer of
//! Graph's: what is missing from a list must not look like its end.
//!
//! Source: Microsoft's "Paging Microsoft Graph data in your app".

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::priority::Priority;
use url::Url;

use super::{GraphClient, Method, Outline};
use crate::graph::Error;

/// Nothing longer is read: 999 users with a few addresses are below one megabyte, with full lists below this.
const LONGEST_PAGE: usize = 64 << 20;

/// A page of a list.
pub(super) struct ListPage<T> {
    pub(super) elements: Vec<T>,
    /// Where the list goes on.
    pub(super) next: Option<Url>,
}

#[derive(Deserialize)]
struct WirePage<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl GraphClient {
    /// Reads the page at this address, and each of its elements by `read`.
    pub(super) async fn page<T>(
        &self,
        url: &Url,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<ListPage<T>, Error> {
        let yields = self.yields(Priority::default());
        let call = Outline { method: Method::Get, url: url.clone(), body: Bytes::new(), yields };
        let page = |body: &[u8]| {
            let WirePage { value, next } = serde_json::from_slice(body).ok()?;
            let elements =
                value.iter().map(|element| read(element.get().as_bytes())).collect::<Option<_>>()?;
            let next = match next {
                Some(link) => Some(self.below(&link).filter(|next| next != url)?),
                None => None,
            };
            Some(ListPage { elements, next })
        };
        self.fetch_within(&call, LONGEST_PAGE, page).await
    }

    /// The address of a page, if it stays below Graph's root: the token goes nowhere else.
    pub(crate) fn below(&self, link: &str) -> Option<Url> {
        let link = Url::parse(link).ok()?;
        let stays = link.host_str() == self.users.host_str() && link.path().starts_with(self.base());
        let mut url = self.users.clone();
        url.set_path(link.path());
        url.set_query(link.query());
        stays.then_some(url)
    }

    /// The path of Graph below which everything lies.
    pub(super) fn base(&self) -> &str {
        let users = self.users.path();
        users.strip_suffix("users/").unwrap_or(users)
    }
}
