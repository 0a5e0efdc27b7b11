//! Requests with a token that lets us manage: what is set, and the one setting that we change.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{
    Method, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH, RETRY_AFTER},
};
use secrecy::ExposeSecret;
use shared::retry_after;
use tokio::time::Instant;
use url::Url;

use super::{
    Describe, Description, Error, Status, entry,
    xml::{self, Unusable},
};
use crate::{
    NamespaceEndpoint, Token, TokenKind, TokenSource, http,
    times::{ClockReading, Times},
};

/// The version of the interface; the one that Microsoft's JavaScript client speaks, and all emulators with it.
const VERSION: &str = "api-version=2021-05";
/// Where the official emulator speaks HTTP.
const EMULATOR_PORT: u16 = 5300;
/// Descriptions take a few kilobytes; nothing longer is read.
const LONGEST_BODY: usize = 1024 * 1024;
/// A token for the entity that messages are forwarded to, without which such an entity cannot be changed.
const FORWARD: HeaderName = HeaderName::from_static("servicebussupplementaryauthorization");
const FORWARD_DEAD_LETTERS: HeaderName = HeaderName::from_static("servicebusdlqsupplementaryauthorization");
/// As much of the service's words as an error shows.
const LONGEST_DETAIL: usize = 200;

/// Where the management interface of a namespace is, as a rule: beside AMQP by https in the cloud; by plain http on
/// the official emulator's other port, or on the port that was given if that is not the usual one.
#[must_use]
pub fn root(endpoint: &NamespaceEndpoint) -> Option<Url> {
    let (scheme, port) = match (endpoint.tls, endpoint.port) {
        (true, 5671 | 443) => ("https", 443),
        (true, port) => ("https", port),
        (false, 5672) => ("http", EMULATOR_PORT),
        (false, port) => ("http", port),
    };
    let authority = NamespaceEndpoint { port, ..endpoint.clone() }.authority();
    Url::parse(&format!("{scheme}://{authority}/")).ok()
}

/// What is sent to change an entity.
struct Change {
    entry: Vec<u8>,
    /// Headers that carry the token once more, for entities that messages are forwarded to.
    forwards: Vec<HeaderName>,
}

/// Asks about one queue or subscription.
pub struct AdminClient {
    http: reqwest::Client,
    url: Url,
    address: Box<str>,
    tokens: Arc<dyn TokenSource>,
    clock: fn() -> Timestamp,
    times: Arc<Times>,
}

impl AdminClient {
    /// A client for `address`, a queue or `topic/Subscriptions/name`, at the interface below `root`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        root: &Url,
        address: &str,
        tokens: Arc<dyn TokenSource>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let mut url = root.clone();
        url.set_query(None);
        // Fails only for addresses without a host, which `root` and the settings rule out.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(address.split('/'));
        }
        Self { http, url, address: address.into(), tokens, clock, times: Arc::default() }
    }

    /// Tells others what answers say of the service's clock and of the length of locks.
    #[must_use]
    pub fn telling(self, times: Arc<Times>) -> Self {
        Self { times, ..self }
    }

    /// Signed for the entity, so that a rule of the queue serves as well as one of the namespace.
    async fn token(&self) -> Result<Token, Error> {
        let (resource, now) = (self.url.as_str(), self.times.at_service_bus(ClockReading::by(self.clock)));
        self.tokens.token(resource, now).await.map_err(Error::Token)
    }

    async fn send(&self, token: &Token, change: Option<&Change>) -> Result<Response, Error> {
        let mut url = self.url.clone();
        url.set_query(Some(VERSION));
        let method = if change.is_some() { Method::PUT } else { Method::GET };
        let mut request = self.http.request(method, url).header(AUTHORIZATION, self.authorization(token)?);
        if let Some(change) = change {
            request = request.header(CONTENT_TYPE, "application/atom+xml").header(IF_MATCH, "*");
            for name in &change.forwards {
                request = request.header(name, self.authorization(token)?);
            }
            request = request.body(change.entry.clone());
        }
        let asked = Instant::now();
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        self.times.service_bus.answered(response.headers(), asked, ClockReading::by(self.clock));
        Ok(response)
    }

    fn authorization(&self, token: &Token) -> Result<HeaderValue, Error> {
        let secret = token.secret.expose_secret();
        let text = match token.kind {
            TokenKind::Sas => secret.to_owned(),
            TokenKind::Bearer => format!("Bearer {secret}"),
        };
        let mut authorization = HeaderValue::try_from(text).map_err(|_| {
            self.senseless("the token cannot be sent in a header; check the connection string")
        })?;
        authorization.set_sensitive(true);
        Ok(authorization)
    }

    /// One call, tried once more only if a token was refused. The text of an answer that is not a refusal.
    async fn call(&self, change: Option<&Change>) -> Result<String, Error> {
        let token = self.token().await?;
        let mut response = self.send(&token, change).await?;
        if response.status().as_u16() == 401 && token.kind == TokenKind::Bearer {
            self.tokens.refused(&token).await;
            response = self.send(&self.token().await?, change).await?;
        }
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| retry_after::parse(value, (self.clock)()));
        let body = http::body(&mut response, LONGEST_BODY).await;
        let body = body.map_err(|error| self.unreachable(error))?;
        let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
        if status != 200 {
            return Err(self.refused(status, &body.unwrap_or_default(), retry_after));
        }
        body.ok_or_else(|| self.senseless("it is longer than 1 MB"))
    }

    /// Lets the entity be used for something else from now on, and tells what it could be used for before. Nothing else that is
    /// set changes. Afterwards it is looked whether it took effect.
    pub async fn set_status(&self, status: &Status) -> Result<Status, Error> {
        let text = self.call(None).await?;
        let before = self.understood(&text)?.properties;
        if before.status == *status {
            return Ok(before.status);
        }
        let forwards = [(before.forward_to, FORWARD), (before.forward_dead_letters_to, FORWARD_DEAD_LETTERS)];
        let forwards = forwards.into_iter().filter_map(|(to, header)| to.map(|_| header)).collect();
        let name = status.name();
        let entry = entry::with_status(&text, name).map_err(|unusable| self.unusable(unusable))?;
        self.call(Some(&Change { entry, forwards })).await?;
        let after = self.describe().await?.properties.status;
        if after != *status {
            return Err(
                self.senseless(&format!("the status was set to {name}, and is told to be {}", after.name()))
            );
        }
        Ok(before.status)
    }

    fn unusable(&self, unusable: Unusable) -> Error {
        match unusable {
            Unusable::Empty => Error::NotFound { address: self.address.clone() },
            Unusable::Broken(what) => self.senseless(what),
        }
    }

    fn understood(&self, body: &str) -> Result<Description, Error> {
        let elements = xml::elements(body).map_err(|unusable| self.unusable(unusable))?;
        Description::of(&elements)
            .map_err(|name| self.senseless(&format!("the value of {name} cannot be read")))
    }

    fn refused(&self, status: u16, body: &str, retry_after: Option<Duration>) -> Error {
        match status {
            401 | 403 => Error::Denied { status, detail: detail(body) },
            404 | 410 => Error::NotFound { address: self.address.clone() },
            429 | 503 => Error::Throttled { retry_after },
            _ => Error::Failed { status, detail: detail(body) },
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        Error::Unreachable { host: self.host(), cause: error.without_url().into() }
    }

    fn senseless(&self, what: &str) -> Error {
        Error::Senseless { host: self.host(), what: what.into() }
    }

    /// Host and port, without what an address may hold besides.
    fn host(&self) -> Box<str> {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}").into())
    }
}

#[async_trait]
impl Describe for AdminClient {
    async fn describe(&self) -> Result<Description, Error> {
        let description = self.understood(&self.call(None).await?)?;
        if let Some(length) = description.properties.lock_duration {
            self.times.lock_length_is(length);
        }
        Ok(description)
    }

    fn incomplete(&self) -> Error {
        self.senseless("it has no counts")
    }
}

/// The service's own words out of `<Error><Code>…</Code><Detail>…</Detail></Error>`, cut short.
fn detail(body: &str) -> Box<str> {
    let between = body.split_once("<Detail>").and_then(|(_, rest)| rest.split_once("</Detail>"));
    let text = between.map_or("no reason given", |(detail, _)| detail);
    let text: String =
        text.chars().filter(|character| !character.is_control()).take(LONGEST_DETAIL).collect();
    text.trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedToken;

    #[track_caller]
    fn check_root(endpoint: &str, expected: &str) {
        let endpoint = NamespaceEndpoint::parse(endpoint).expect("an endpoint");
        assert_eq!(root(&endpoint).map(String::from).as_deref(), Some(expected));
    }

    #[test]
    fn the_interface_is_where_cloud_and_emulators_have_it() {
        check_root("contoso.servicebus.windows.net", "https://contoso.servicebus.windows.net/");
        check_root("sb://localhost:7001", "https://localhost:7001/");
        check_root("amqp://localhost", "http://localhost:5300/");
        check_root("amqp://127.0.0.1:7002", "http://127.0.0.1:7002/");
        check_root("amqp://[::1]:7002", "http://[::1]:7002/");
        let socket =
            NamespaceEndpoint::parse("contoso.servicebus.windows.net").expect("an endpoint").for_web_socket();
        assert_eq!(
            root(&socket).map(String::from).as_deref(),
            Some("https://contoso.servicebus.windows.net/")
        );
    }

    #[track_caller]
    fn check_url(root: &str, address: &str, expected: &str) {
        let root = Url::parse(root).expect("a URL");
        let tokens = Arc::new(FixedToken::new(String::new().into()));
        let http = http::tests::client();
        let client = AdminClient::new(http, &root, address, tokens, || Timestamp::UNIX_EPOCH);
        assert_eq!(client.url.as_str(), expected);
    }

    #[test]
    fn names_with_slashes_are_paths_and_nothing_in_them_can_leave_the_path() {
        check_url("https://ns", "contacts", "https://ns/contacts");
        check_url("https://ns/proxy/?a=b", "team/contacts", "https://ns/proxy/team/contacts");
        check_url(
            "http://ns:5300/",
            "changes/Subscriptions/portal",
            "http://ns:5300/changes/Subscriptions/portal",
        );
        check_url("https://ns", "a?b#c d", "https://ns/a%3Fb%23c%20d");
    }

    #[test]
    fn the_services_own_words_are_shown_and_nothing_else() {
        assert_eq!(
            &*detail("<Error><Code>401</Code><Detail>Manage claim is required.</Detail></Error>"),
            "Manage claim is required"
        );
        assert_eq!(&*detail("<html>"), "no reason given");
        assert_eq!(detail(&format!("<Detail>{}</Detail>", "x".repeat(999))).len(), LONGEST_DETAIL);
    }
}
