//! Which user is meant, by a filter over all users.
//!
//! Source: Microsoft's "List users" and "objectIdentity resource type": a filter on identities needs issuer and id.

use bytes::Bytes;
use shared::{
    plan::{LinkAnswer, LinkQuery},
    priority::Priority,
};
use url::form_urlencoded::byte_serialize;

use super::{GraphClient, Outline};
use crate::{
    graph::{Error, wire},
    telemetry::labels::Method,
};

impl GraphClient {
    /// Asks for two users at most: that there are two is all there is to know of more.
    pub(super) async fn ask_who(&self, query: &LinkQuery) -> Result<LinkAnswer, Error> {
        let asked = format!("{}&$top=2", by(query));
        self.fetch(&self.look("users", &asked, Priority::Live), wire::found).await
    }

    /// A look at what this path and query name, as urgent as that.
    pub(super) fn look(&self, path: &str, query: &str, urgency: Priority) -> Outline {
        let mut url = self.users.clone();
        url.set_path(&format!("{}{path}", self.base()));
        url.set_query(Some(query));
        Outline { method: Method::Get, url, body: Bytes::new(), yields: self.yields(urgency) }
    }
}

/// The question as the query of an address that asks for ids.
pub(super) fn by(query: &LinkQuery) -> String {
    format!("$filter={}&$select=id", encoded(&query.filter()))
}

/// A text in a query. A blank is not written as a plus sign, which some take for one.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_leaves_its_place_in_the_address() {
        assert_eq!(encoded("a eq '1&$top=9#+ %'"), "a%20eq%20%271%26%24top%3D9%23%2B%20%25%27");
    }
}
