//! Graph over HTTP.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use shared::{
    ids::UserId,
    patch::{PropertyValue, UserWrite},
    property::Property,
    reconcile::{self, Body, Current, Reading, Reconciled},
    retry_after,
    urgency::Urgency,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Answer, Applied, Directory, Error, Foreseen,
    answer::Handling,
    standing::{Denial, Standing},
    wire,
};
use crate::{
    clock,
    identity::TokenProvider,
    telemetry::{
        Observer,
        labels::{self, Call, Method},
        trace,
    },
};

/// What the client needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Root of Graph, without version: `https://graph.microsoft.com`.
    pub root: Url,
    /// What is read of a user before a write.
    pub reading: Reading,
    /// Which of our calls Graph should throttle first.
    pub priority: Priority,
}

/// How Graph should rank our calls when it throttles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// Like everybody's.
    #[default]
    Normal,
    /// Before others: for work that can wait, such as replays.
    Low,
}

/// The directory behind Graph's `users`.
pub struct GraphClient {
    http: reqwest::Client,
    tokens: Arc<dyn TokenProvider>,
    /// `{root}/v1.0/users/`; a user's id is joined to it.
    users: Url,
    reading: Reading,
    priority: Priority,
    /// Tells a fault of the installation from one of a user.
    standing: Standing,
    observer: Option<Arc<Observer>>,
}

/// Errors and users with a few properties are small; nothing longer is read.
const LONGEST_BODY: usize = 256 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

impl GraphClient {
    /// A client that authenticates with these tokens.
    #[must_use]
    pub fn new(http: reqwest::Client, tokens: Arc<dyn TokenProvider>, options: &Options) -> Self {
        let mut users = options.root.clone();
        let path = format!("{}/v1.0/users/", options.root.path().trim_end_matches('/'));
        users.set_path(&path);
        let (reading, priority) = (options.reading.clone(), options.priority);
        Self { http, tokens, users, reading, priority, standing: Standing::unproven(), observer: None }
    }

    /// Tells an observer of every call.
    #[must_use]
    pub fn observed(self, observer: Arc<Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The id is a GUID by its type, so nothing in it can leave the path.
    fn url(&self, user: UserId) -> Url {
        let mut url = self.users.clone();
        url.set_path(&format!("{}{user}", self.users.path()));
        url
    }

    /// Sends with a token; once more with a fresh one if the first was refused.
    async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Error> {
        let token = self.tokens.token().await.map_err(Error::Token)?;
        let response = self.send_with(&request, token.authorization()).await?;
        if response.status() == StatusCode::FORBIDDEN && self.standing.doubt() == Denial::Everybody {
            // A permission is in tokens that are issued after it was granted. With the old token the pause would
            // outlast its cause by up to an hour.
            self.tokens.forget(&token).await;
        }
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let answer = read_answer(response).await;
        if answer.handling() != Handling::Renew {
            return Err(self.refused_at_all(answer));
        }
        let fresh = self.tokens.renew(&token).await.map_err(Error::Token)?;
        self.send_with(&request, fresh.authorization()).await
    }

    async fn send_with(
        &self,
        request: impl Fn() -> RequestBuilder,
        authorization: HeaderValue,
    ) -> Result<Response, Error> {
        let request = request()
            .header(reqwest::header::AUTHORIZATION, authorization)
            .header(REQUEST_ID, request_id())
            .build();
        let sent = match request {
            Ok(request) => self.execute(request).await,
            Err(error) => Err(error),
        };
        sent.map_err(|error| Error::Unreachable(error.without_url()))
    }

    async fn execute(&self, request: reqwest::Request) -> Result<Response, reqwest::Error> {
        let Some(observer) = &self.observer else { return self.http.execute(request).await };
        let method = if *request.method() == reqwest::Method::PATCH { Method::Patch } else { Method::Get };
        let (begun, started) = (Instant::now(), trace::is_on().then(clock::now));
        let sent = self.http.execute(request).await;
        let call = Call { method, answer: answer_of(&sent) };
        observer.metrics.called(call, begun.elapsed());
        if let Some(started) = started {
            let request_id = sent.as_ref().ok().and_then(|response| text(response.headers(), "request-id"));
            trace::call(method.as_str(), started, || described(call, self.users.host_str(), request_id));
        }
        sent
    }

    /// A request that Graph may throttle before others, if it is for something that can wait.
    fn ranked(&self, request: RequestBuilder, urgency: Urgency) -> RequestBuilder {
        if self.priority == Priority::Low || urgency == Urgency::Replayed {
            request.header("x-ms-throttle-priority", "Low")
        } else {
            request
        }
    }

    /// Looks at a user before a write. Reads cost nothing of the write quota.
    async fn read(&self, write: &UserWrite, reading: &Reading) -> Result<Current, Error> {
        let mut url = self.url(write.user);
        url.set_query(Some(&format!("$select={}", wire::selection(write, reading))));
        let mut response = self.send(|| self.ranked(self.http.get(url.clone()), write.urgency)).await?;
        if !response.status().is_success() {
            let answer = read_answer(response).await;
            return Err(self.refused(write.user, answer));
        }
        let body = read_body(&mut response).await.map_err(|error| Error::Unreachable(error.without_url()))?;
        wire::current(&body, write, reading).ok_or(Error::Senseless)
    }

    /// Compares a write with the user as Graph shows him, and changes nothing.
    pub async fn foresee(&self, write: &UserWrite) -> Result<Foreseen, Error> {
        let reading = Reading { diff: true, ..self.reading.clone() };
        let current = self.read(write, &reading).await?;
        let Reconciled { body, superseded } = reconcile::reconcile(write, &current, &reading)
            .map_err(|reconcile::Ambiguous| Error::Ambiguous)?;
        let body = body.unwrap_or_default();
        let (identities, mut properties) = (body.identities.is_some(), Vec::new());
        for entry in &write.entries {
            let sign_in = matches!(entry.value, PropertyValue::SignIn { .. });
            let written = body.properties.iter().any(|(property, _)| *property == entry.property);
            if written || (sign_in && identities) {
                properties.push(entry.property.clone());
            }
        }
        Ok(Foreseen { properties, superseded })
    }

    /// Sends the write; tells whether Graph hinted that a limit is near.
    async fn patch(&self, write: &UserWrite, body: &Body) -> Result<bool, Error> {
        // Our own types always serialize; a fault here would be a bug, and Graph would name it.
        let body = Bytes::from(serde_json::to_vec(&wire::Patch(body)).unwrap_or_default());
        let url = self.url(write.user);
        let request = || {
            let request = self.http.patch(url.clone()).header(CONTENT_TYPE, "application/json");
            self.ranked(request.body(body.clone()), write.urgency)
        };
        let response = self.send(request).await?;
        if response.status().is_success() {
            self.standing.written();
            return Ok(is_near_limit(response.headers()));
        }
        let answer = read_answer(response).await;
        Err(self.refused(write.user, answer))
    }

    /// A refusal that concerns this user.
    fn refused(&self, user: UserId, answer: Answer) -> Error {
        let denied = answer.handling() == Handling::Denied;
        let denial = if denied { self.standing.denied(user) } else { self.standing.doubt() };
        Error::Refused { answer, denial }
    }

    /// A refusal that concerns nobody in particular.
    fn refused_at_all(&self, answer: Answer) -> Error {
        Error::Refused { answer, denial: self.standing.doubt() }
    }
}

#[async_trait]
impl Directory for GraphClient {
    async fn apply(&self, write: &UserWrite) -> Result<Applied, Error> {
        let reconciled = if self.reading.is_needed(write) {
            let current = self.read(write, &self.reading).await?;
            reconcile::reconcile(write, &current, &self.reading)
                .map_err(|reconcile::Ambiguous| Error::Ambiguous)?
        } else {
            Reconciled { body: Some(reconcile::blind(write)), superseded: Vec::new() }
        };
        let Reconciled { body, superseded } = reconciled;
        let Some(body) = body else { return Ok(Applied { superseded, ..Applied::default() }) };
        let near_limit = self.patch(write, &body).await?;
        Ok(Applied { written: true, near_limit, superseded })
    }

    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, Error> {
        // The values beside the mark: a third call can have carried our version on over another value.
        let reading = Reading { diff: true, ..self.reading.clone() };
        let current = self.read(write, &reading).await?;
        Ok(reconcile::undone(write, &current))
    }

    async fn probe(&self) -> Result<(), Error> {
        // A user who cannot exist: "not found" proves that the token, the permission to read and Graph work.
        let mut url = self.url(UserId(Uuid::max()));
        url.set_query(Some("$select=id"));
        let response = self.send(|| self.ranked(self.http.get(url.clone()), Urgency::Live)).await?;
        if response.status().is_success() || response.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        let answer = read_answer(response).await;
        Err(self.refused_at_all(answer))
    }
}

/// A call as OpenTelemetry wants it described; without its path, which names a user.
fn described(
    call: Call,
    host: Option<&str>,
    request_id: Option<&str>,
) -> (Vec<(&'static str, String)>, Option<String>) {
    let attributes = [
        ("http.request.method", Some(call.method.as_str())),
        ("http.response.status_code", Some(call.answer.status_text()).filter(|status| !status.is_empty())),
        ("server.address", host),
        ("graph.request_id", request_id),
    ];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
    let failure = call.answer.error_type();
    (attributes.collect(), (!failure.is_empty()).then(|| failure.to_owned()))
}

/// How a call ended, for metrics.
fn answer_of(sent: &Result<Response, reqwest::Error>) -> labels::Answer {
    match sent {
        Ok(response) => labels::Answer::status(response.status().as_u16()),
        Err(error) if error.is_timeout() => labels::Answer::TIMEOUT,
        Err(_) => labels::Answer::CONNECTION,
    }
}

async fn read_answer(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let request_id = text(response.headers(), "request-id").map(str::to_owned);
    let retry_after = asked_wait(response.headers());
    // A body that breaks off is as good as none: the status decides.
    let body = read_body(&mut response).await.unwrap_or_default();
    wire::answer(status, &body, request_id.as_deref(), retry_after)
}

async fn read_body(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < LONGEST_BODY
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A fresh id for a call. Nothing depends on it being hard to guess, so it costs no system call.
fn request_id() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static(""))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Graph documents this header for more than 80 % of a limit, and few have ever seen it.
fn is_near_limit(headers: &HeaderMap) -> bool {
    let share =
        text(headers, "x-ms-throttle-limit-percentage").and_then(|value| value.trim().parse::<f64>().ok());
    share.is_some_and(|share| share >= 0.8)
}

fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    text(headers, RETRY_AFTER.as_str()).and_then(|value| retry_after::parse(value, clock::now()))
}
