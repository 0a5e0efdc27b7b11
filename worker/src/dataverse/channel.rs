//! The way to the Web API: requests as it wants them, with a token, tried again where that is safe.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Method, Request,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, IF_NONE_MATCH,
        WWW_AUTHENTICATE,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use servicebus::retry::retry;
use shared::retry::{Again, Ladder};
use url::Url;

use super::{answer::Answer, challenge::Challenge, error::Error, refusal::DataverseRefusal};
use crate::{http_client, identity::TokenProvider};

/// The version of the Web API.
const API: &str = "/api/data/v9.2/";
/// A request may run for two minutes on the other side; a list may need that.
const LIST_TIMEOUT: Duration = Duration::from_secs(130);
const ROW_TIMEOUT: Duration = Duration::from_secs(30);
/// 5,000 rows of a few columns are a few megabytes.
const LONGEST_LIST: usize = 64 << 20;
const LONGEST_ROW: usize = 4 << 20;
/// Tries of one request.
const TRIES: Ladder =
    Ladder::fixed(Duration::from_secs(1), Duration::from_secs(30)).with_tries(6).with_equal_jitter();
/// The longest wait that is asked for and kept. Limits count in windows of five minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(6);

const MAX_VERSION: HeaderName = HeaderName::from_static("odata-maxversion");
const VERSION: HeaderName = HeaderName::from_static("odata-version");
const FOUR: HeaderValue = HeaderValue::from_static("4.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The way to the Web API of one environment.
pub(super) struct Channel {
    http: reqwest::Client,
    tokens: Arc<dyn TokenProvider>,
    /// `{org}/api/data/v9.2/`; everything lies below it.
    api: Url,
    ladder: Ladder,
    requests: AtomicU64,
}

/// A request before it has a token.
pub(super) struct Outline {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    timeout: Duration,
    longest: usize,
    /// Whether doing it twice is as good as doing it once.
    repeatable: bool,
}

impl Outline {
    /// A read of one row.
    pub(super) fn row(url: Url) -> Self {
        Self::get(url, ROW_TIMEOUT, LONGEST_ROW)
    }

    /// A read of a page.
    pub(super) fn list(url: Url) -> Self {
        Self::get(url, LIST_TIMEOUT, LONGEST_LIST)
    }

    fn get(url: Url, timeout: Duration, longest: usize) -> Self {
        // What stands before Dataverse must not answer for it from memory.
        let headers = vec![(IF_NONE_MATCH, HeaderValue::from_static("null"))];
        Self { method: Method::GET, url, headers, body: None, timeout, longest, repeatable: true }
    }

    /// A write, and whether doing it twice is as good as doing it once.
    pub(super) fn write(method: Method, url: Url, body: Option<&Value>, repeatable: bool) -> Self {
        let body = body.map(|body| Bytes::from(body.to_string()));
        Self {
            method,
            url,
            headers: Vec::new(),
            body,
            timeout: ROW_TIMEOUT,
            longest: LONGEST_ROW,
            repeatable,
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn request(&self, authorization: HeaderValue) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        *request.timeout_mut() = Some(self.timeout);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(ACCEPT, JSON);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(MAX_VERSION, FOUR);
        headers.insert(VERSION, FOUR);
        headers.extend(self.headers.iter().cloned());
        if let Some(body) = &self.body {
            headers.insert(CONTENT_TYPE, JSON_UTF8);
            *request.body_mut() = Some(body.clone().into());
        }
        request
    }
}

impl Channel {
    /// The way to the environment at `url`, by tokens whose resource is the origin of that address.
    pub(super) fn new(http: &http_client::Client, tokens: Arc<dyn TokenProvider>, url: &Url) -> Self {
        let mut api = url.clone();
        api.set_path(API);
        api.set_query(None);
        api.set_fragment(None);
        Self { http: http.to(url).clone(), tokens, api, ladder: TRIES, requests: AtomicU64::new(0) }
    }

    /// The same with other waits between tries.
    pub(super) fn waiting(self, ladder: Ladder) -> Self {
        Self { ladder, ..self }
    }

    /// Requests with a token so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// What the environment says to somebody without a token.
    pub(super) async fn challenge(&self) -> Result<Challenge, Error> {
        let mut request = Request::new(Method::GET, self.api.clone());
        *request.timeout_mut() = Some(ROW_TIMEOUT);
        let response = self.http.execute(request).await.map_err(unreachable)?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let date = text(DATE).map(Into::into);
        Ok(Challenge { date, ..text(WWW_AUTHENTICATE).map(Challenge::read).unwrap_or_default() })
    }

    /// Asks, and reads what was answered.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: &Outline) -> Result<T, Error> {
        understood(&self.ask(call).await?)
    }

    /// The address that a link names, if it stays below the Web API of this environment.
    pub(super) fn below(&self, link: &str) -> Option<Url> {
        let url = Url::parse(link).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        let stays = url.origin() == self.api.origin() && url.path().starts_with(self.api.path());
        (bare && stays).then_some(url)
    }

    /// An address below the Web API. Whatever stands in it, it stays there.
    pub(super) fn url(&self, path_and_query: &str) -> Url {
        let (path, query) = path_and_query
            .split_once('?')
            .map_or((path_and_query, None), |(path, query)| (path, Some(query)));
        let mut url = self.api.clone();
        url.set_path(&format!("{}{path}", self.api.path()));
        url.set_query(query);
        url
    }

    /// Asks until it is answered, as often as is safe and makes sense.
    pub(super) async fn ask(&self, call: &Outline) -> Result<Answer, Error> {
        let again = |error: &Error| {
            let again = again(error, call.repeatable);
            if again != Again::Never {
                tracing::warn!(error = %error.explained(), "dataverse is asked again in a moment");
            }
            again
        };
        let answered = retry(self.ladder, again, || self.once(call)).await;
        answered.map_err(|error| {
            if call.repeatable || !error.may_have_happened() {
                error
            } else {
                Error::Undecided(Box::new(error))
            }
        })
    }

    /// Asks once; once more with a fresh token if the first one was refused.
    async fn once(&self, call: &Outline) -> Result<Answer, Error> {
        let token = self.tokens.token().await.map_err(Error::Token)?;
        let answer = self.send(call, token.authorization()).await?;
        if answer.head.status != 401 {
            return self.judged(answer);
        }
        let fresh = self.tokens.renew(&token).await.map_err(Error::Token)?;
        self.judged(self.send(call, fresh.authorization()).await?)
    }

    async fn send(&self, call: &Outline, authorization: HeaderValue) -> Result<Answer, Error> {
        self.requests.fetch_add(1, Relaxed);
        let response = self.http.execute(call.request(authorization)).await.map_err(unreachable)?;
        Answer::read(response, call.longest).await
    }

    fn judged(&self, answer: Answer) -> Result<Answer, Error> {
        if (200..300).contains(&answer.head.status) {
            return Ok(answer);
        }
        let head = answer.head;
        Err(match DataverseRefusal::read(&head, &answer.body) {
            Some(refusal) => Error::Refused(refusal),
            None => Error::NotDataverse {
                host: self.api.host_str().unwrap_or_default().into(),
                status: head.status,
                content_type: head.content_type,
            },
        })
    }
}

fn unreachable(cause: reqwest::Error) -> Error {
    Error::Unreachable { sent: !cause.is_connect(), cause: cause.without_url() }
}

fn again(error: &Error, repeatable: bool) -> Again {
    if !repeatable && error.may_have_happened() {
        return Again::Never;
    }
    match error.class().into() {
        Again::After(wait) if wait > LONGEST_WAIT => Again::Never,
        again => again,
    }
}

fn understood<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    // The words of the parser may repeat what is there; where it ended says enough.
    serde_json::from_slice(&answer.body).map_err(|error| {
        Error::Senseless(format!("its {} is not as it has to be", place(&error, &answer.body)).into())
    })
}

fn place(error: &serde_json::Error, body: &[u8]) -> String {
    if body.is_empty() {
        "empty body".to_owned()
    } else {
        format!("column {} of {} bytes", error.column(), body.len())
    }
}
