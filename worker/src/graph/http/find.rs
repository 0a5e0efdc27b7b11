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
        let mut url = self.users.clone();
        url.set_path(self.users.path().trim_end_matches('/'));
        url.set_query(Some(&format!("$filter={}&$select=id&$top=2", encoded(&query.filter()))));
        let yields = self.yields(Priority::Live);
        let call = Outline { method: Method::Get, url, body: Bytes::new(), yields };
        self.fetch(&call, wire::found).await
    }
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
