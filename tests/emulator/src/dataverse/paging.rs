//! Cookies: where a list goes on. A client must send one back as it got it.

use std::collections::{HashMap, VecDeque};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::refusal::Refusal;

/// What stays as it is in a query.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a pass stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// The page that comes next, from 2.
    pub(crate) page: usize,
    /// Rows that came before, where no key tells where to go on.
    pub(crate) skipped: usize,
    /// The last row, in the order of keys.
    pub(crate) last: Uuid,
    /// In a pass over changes, where the last one stood.
    pub(crate) after: Option<(bool, i64)>,
    /// In a tracked pass, the version at which it began.
    pub(crate) since: Option<i64>,
}

/// The cookies that were given out, so that one that was changed or is used elsewhere is noticed.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    places: HashMap<(String, String), Place>,
    order: VecDeque<(String, String)>,
}

/// How many are remembered; a client that holds an older one begins anew.
const REMEMBERED: usize = 100_000;

impl Cookies {
    /// Gives out the cookie of a place in a query, as its `$skiptoken` reads once decoded.
    pub(crate) fn issue(&mut self, query: &str, key: &str, first: Uuid, place: Place) -> String {
        let inner = format!(
            "<cookie page=\"{}\"><{key} last=\"{{{}}}\" first=\"{{{first}}}\" /></cookie>",
            place.page - 1,
            place.last
        );
        let cookie = format!(
            "<cookie pagenumber=\"{}\" pagingcookie=\"{}\" istracking=\"{}\" />",
            place.page,
            encode(&inner),
            if place.since.is_some() { "True" } else { "False" }
        );
        let known = (query.to_owned(), cookie.clone());
        if self.places.insert(known.clone(), place).is_none() {
            self.order.push_back(known);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.places.remove(&oldest);
            }
        }
        cookie
    }

    pub(crate) fn look_up(&self, query: &str, cookie: &str) -> Result<Place, Refusal> {
        let known = self.places.get(&(query.to_owned(), cookie.to_owned())).copied();
        known.ok_or_else(|| {
            Refusal::invalid_argument("The paging cookie is malformed, or belongs to another query.")
        })
    }
}

/// Percent-encoded as a query needs it.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}
