//! One POST, and what its answer means. The same for all channels that speak HTTP.

use jiff::Timestamp;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use serde_json::Value;
use shared::{reason::chain, retry_after};

use crate::{
    http_client::{self, body},
    notify::failure::{NotifyFailure, NotifyRetry},
};

/// Longest answer of which anything is read.
const LONGEST: usize = 16 << 10;

/// Posts.
#[derive(Clone)]
pub(super) struct Poster {
    http: http_client::Client,
}

/// An answer.
pub(super) struct Posted {
    pub(super) status: StatusCode,
    /// A word of the receiver that says more than the status, if there is one.
    pub(super) word: Option<String>,
    /// When to come back, if it says so.
    after: Option<std::time::Duration>,
    /// The host it sends us to, if it does.
    elsewhere: Option<String>,
}

impl Poster {
    pub(super) fn new(http: http_client::Client) -> Self {
        Self { http }
    }

    /// Posts once. Neither the address nor the body is in what is told of a failure.
    pub(super) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<Posted, NotifyFailure> {
        let sent = self.http.request(Method::POST, url).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| NotifyFailure::soon(unsent(&error.without_url())))?;
        let (status, headers) = (response.status(), response.headers());
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let after = text(RETRY_AFTER).and_then(|value| retry_after::parse(value, now));
        let elsewhere = text(LOCATION).and_then(|place| url.join(place).ok()?.host_str().map(str::to_owned));
        let word = word(&mut response).await;
        Ok(Posted { status, word, after, elsewhere })
    }
}

impl Posted {
    /// What it means, as far as the status tells. Any success counts: receivers differ in which one they choose.
    pub(super) fn judge(self) -> Result<String, NotifyFailure> {
        let Self { status, word, after, elsewhere } = self;
        let word = word.map_or_else(String::new, |word| format!(": {word}"));
        let what = format!("{status}{word}");
        if status.is_success() {
            return Ok(what);
        }
        let after = after.map_or(NotifyRetry::Soon, NotifyRetry::After);
        let retry = match status {
            StatusCode::GONE => NotifyRetry::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => after,
            StatusCode::REQUEST_TIMEOUT => NotifyRetry::Soon,
            _ if status.is_server_error() => NotifyRetry::Soon,
            _ => NotifyRetry::Never,
        };
        let what = match elsewhere.filter(|_| status.is_redirection()) {
            Some(host) => format!(
                "{what}: it leads to {host}, which is not followed; name the address that it leads to"
            ),
            None => what,
        };
        Err(NotifyFailure { what, retry })
    }
}

/// Why there is no answer, in as few words as say it.
fn unsent(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    match causes.last().filter(|_| error.is_connect()) {
        // Layers of the client that say nothing stand between.
        Some(deepest) => format!("cannot be reached: {deepest}"),
        None => chain(error),
    }
}

/// The one word that some receivers answer with, or the code of an error in JSON. Nothing else is repeated: an answer may hold
/// what was sent.
async fn word(response: &mut Response) -> Option<String> {
    let body = body(response, LONGEST).await.ok().flatten()?;
    let text = std::str::from_utf8(&body).ok()?.trim();
    let is_word = |text: &str| {
        (1..=60).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if is_word(text) {
        return Some(text.to_owned());
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let code = json.pointer("/error/code").or_else(|| json.pointer("/code"))?.as_str()?;
    is_word(code).then(|| code.to_owned())
}

/// Headers with one content type.
pub(super) fn content(kind: &'static str) -> HeaderMap {
    use reqwest::header::{CONTENT_TYPE, HeaderValue};

    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(status: u16, after: Option<u64>, expected: Option<NotifyRetry>) {
        let status = StatusCode::from_u16(status).expect("a status");
        let elsewhere = Some("other.example".to_owned());
        let posted = Posted { status, word: None, after: after.map(Duration::from_secs), elsewhere };
        assert_eq!(posted.judge().err().map(|failure| failure.retry), expected, "{status}");
    }

    #[test]
    fn every_status_says_whether_to_try_again() {
        for status in [200, 201, 202, 204] {
            check(status, None, None);
        }
        for status in [301, 307, 400, 401, 403, 404, 413] {
            check(status, None, Some(NotifyRetry::Never));
        }
        for status in [408, 500, 502, 504] {
            check(status, Some(7), Some(NotifyRetry::Soon));
        }
        for status in [429, 503] {
            check(status, None, Some(NotifyRetry::Soon));
            check(status, Some(7), Some(NotifyRetry::After(Duration::from_secs(7))));
        }
        check(410, None, Some(NotifyRetry::Gone));
    }
}
