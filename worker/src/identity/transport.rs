//! Our HTTP client under the hood of Microsoft's identity library, so that certificates, time-outs and the
//! proxy are the same for every call of the process.
//!
//! It also remembers how the last exchange failed: the library wraps refusals in prose and drops what is no
//! JSON, and neither serves a decision.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::{
    Result,
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, HttpClient, Request, StatusCode,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use jiff::SignedDuration;
use reqwest::{Url, header::HeaderMap};
use serde::Deserialize;
use servicebus::{
    clock,
    times::{self, ClockReading, Times},
};
use shared::retry_after;
use tokio::time::Instant;

use super::{Error, TokenEndpoint, TokenRefusal, clients::Clients};
use crate::http_client;

/// The longest answer that is read. Tokens have a few kilobytes; what is longer comes from somebody else.
const LONGEST_ANSWER: usize = 256 * 1024;
const TOO_LONG: &str =
    "it is longer than 256 KB, so somebody else answers there, such as a proxy or a portal";

/// The client as the library wants it.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: http_client::Client,
    endpoint: TokenEndpoint,
    detour: Option<Detour>,
    times: Arc<Times>,
    /// How the last exchange failed; none if it went well.
    failed: Arc<Mutex<Option<Error>>>,
}

/// Sends to another host what the library means for a fixed one.
#[derive(Clone, Debug)]
pub(super) struct Detour {
    from: Url,
    to: Url,
}

impl Detour {
    /// A detour from one origin to another, both of which need a host.
    pub(super) fn new(from: &Url, to: &Url) -> Option<Self> {
        (from.has_host() && to.has_host()).then(|| Self { from: from.clone(), to: to.clone() })
    }

    fn of(&self, url: &Url) -> Url {
        if url.origin() != self.from.origin() {
            return url.clone();
        }
        let mut target = self.to.clone();
        target.set_path(url.path());
        target.set_query(url.query());
        target
    }
}

impl Transport {
    pub(super) fn new(clients: &Clients, endpoint: TokenEndpoint, detour: Option<Detour>) -> Self {
        let (http, times) = (clients.http.clone(), Arc::clone(&clients.times));
        Self { http, endpoint, detour, times, failed: Arc::default() }
    }

    /// Whom it talks to.
    pub(super) fn endpoint(&self) -> TokenEndpoint {
        self.endpoint
    }

    /// Why the library failed: what was seen on the wire, or else that it could not read a good answer.
    pub(super) fn failure(&self) -> Error {
        let seen = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        seen.unwrap_or_else(|| unread(self.endpoint))
    }

    /// How far our clock is ahead of the endpoint's, by all its answers, or by this one if there are too few yet. The
    /// endpoint on this machine has the clock of this machine.
    fn compare(&self, headers: &HeaderMap, asked: Instant) -> Option<SignedDuration> {
        if self.endpoint == TokenEndpoint::ManagedIdentity {
            return None;
        }
        let now = ClockReading::now();
        self.times.reference.answered(headers, asked, now);
        let by_this = || Some(now.wall.duration_since(times::date(headers)?));
        self.times.reference.ahead(now).or_else(by_this)
    }

    fn note(&self, failure: Option<Error>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn broken(&self, error: reqwest::Error) -> azure_core::Error {
        let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
        // The address may name a tenant, which is no secret, but it says nothing that the settings do not.
        let cause = Arc::new(error.without_url());
        self.note(Some(Error::Unreachable { endpoint: self.endpoint, cause: Arc::clone(&cause) }));
        azure_core::Error::with_error(kind, cause, "the call failed")
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| azure_core::Error::with_error(ErrorKind::Other, error, "no method of http"))?;
        let url =
            self.detour.as_ref().map_or_else(|| request.url().clone(), |detour| detour.of(request.url()));
        let mut builder = match self.endpoint {
            TokenEndpoint::Token => self.http.request(method, &url),
            TokenEndpoint::ManagedIdentity => self.http.direct().request(method, url),
        };
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body() else {
            return Err(azure_core::Error::with_message(ErrorKind::Other, "token requests do not stream"));
        };
        let asked = Instant::now();
        let mut response = builder.body(body.clone()).send().await.map_err(|error| self.broken(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let ahead = self.compare(&headers, asked);
        let read = http_client::body(&mut response, LONGEST_ANSWER).await;
        let body = read.map_err(|error| self.broken(error))?;
        // A refusal is one by its status, however much is said beside it.
        let said = body.as_deref().unwrap_or_default();
        let refusal = (!status.is_success()).then(|| refusal(self.endpoint, status.as_u16(), &headers, said));
        self.note(refusal.map(|refusal| Error::Refused(TokenRefusal { ahead, ..refusal })));
        let Some(body) = body else { return Err(azure_core::Error::with_message(ErrorKind::Io, TOO_LONG)) };
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status.as_u16()), to_library(&headers), body))
    }
}

/// The library could not read a good answer. Its own complaint about that quotes what it could not read, and a token
/// may be among it.
pub(super) fn unread(endpoint: TokenEndpoint) -> Error {
    let cause = Box::<dyn std::error::Error + Send + Sync>::from("its fields are not those of a token");
    Error::Senseless { endpoint, cause: Arc::from(cause) }
}

#[derive(Default, Deserialize)]
struct RefusalBody {
    error: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// What may be logged of a refusal, and what decides about it.
pub(super) fn refusal(
    endpoint: TokenEndpoint,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> TokenRefusal {
    let body: RefusalBody = serde_json::from_slice(body).unwrap_or_default();
    let known = |text: &String| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let wait = headers.get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    TokenRefusal {
        endpoint,
        status,
        error: body.error.filter(known).map(String::into_boxed_str),
        number: body.error_codes.first().copied(),
        retry_after: wait.and_then(|value| retry_after::parse(value, clock::now())),
        ahead: None,
    }
}

fn to_library(map: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in map {
        if let Ok(value) = value.to_str() {
            headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    #[test]
    fn a_detour_changes_the_host_and_nothing_else() {
        let detour =
            Detour::new(&url("http://169.254.169.254/"), &url("http://127.0.0.1:4000")).expect("hosts");
        assert_eq!(
            detour.of(&url("http://169.254.169.254/metadata/identity/oauth2/token?resource=x")).as_str(),
            "http://127.0.0.1:4000/metadata/identity/oauth2/token?resource=x"
        );
        assert_eq!(detour.of(&url("https://login.example/t")).as_str(), "https://login.example/t");
    }

    #[test]
    fn a_refusal_keeps_what_may_be_logged_only() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().expect("a value"));
        let body =
            br#"{"error":"invalid_client","error_codes":[7000222],"error_description":"AADSTS... private"}"#;
        let seen = refusal(TokenEndpoint::Token, 401, &headers, body);
        assert_eq!(
            seen,
            TokenRefusal {
                endpoint: TokenEndpoint::Token,
                status: 401,
                error: Some("invalid_client".into()),
                number: Some(7_000_222),
                retry_after: Some(Duration::from_secs(7)),
                ahead: None,
            }
        );
        let page = refusal(TokenEndpoint::Token, 503, &HeaderMap::new(), b"<html>Service Unavailable");
        assert_eq!((page.status, page.error, page.number), (503, None, None));
        let odd = refusal(TokenEndpoint::Token, 400, &HeaderMap::new(), br#"{"error":"Private Data!"}"#);
        assert_eq!(odd.error, None);
    }
}
