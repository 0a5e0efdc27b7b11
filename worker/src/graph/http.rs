//! Graph over HTTP.

mod mark;
mod roles;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
    uri::PathAndQuery,
};
use servicebus::{clock, times};
use shared::{
    ids::UserId,
    patch::{PropertyValue, UserWrite},
    property::Property,
    reconcile::{self, Body, Current, Reading, Reconciled},
    retry_after,
    urgency::Urgency,
};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::{
    Answer, Applied, Difference, Directory, Error,
    answer::Handling,
    connections::{Answered, Cause, Connections, Request},
    guard::Guard,
    wire::{self, Head},
};
use crate::{
    http_client,
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
    /// How long calls may take.
    pub timeouts: http_client::Timeouts,
    /// A file with certificates to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
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
    connections: Connections,
    tokens: Arc<dyn TokenProvider>,
    /// The path to all users; a user's id is joined to it.
    users: Box<str>,
    reading: Reading,
    priority: Priority,
    guard: Guard,
    /// Whether a user was denied and nobody written since.
    denied: AtomicBool,
    observer: Option<Arc<Observer>>,
}

/// Errors and users with a few properties are small; nothing longer is read.
const LONGEST_BODY: usize = 256 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
/// Tells Graph to throttle a call before others, for what can wait.
const THROTTLE_PRIORITY: HeaderName = HeaderName::from_static("x-ms-throttle-priority");

/// A call before it has a token.
struct Outline {
    method: Method,
    target: PathAndQuery,
    body: Bytes,
    /// Whether Graph may throttle it before others.
    yields: bool,
}

impl GraphClient {
    /// A client that authenticates with these tokens. It goes through the proxy of the environment, if any.
    pub fn new(tokens: Arc<dyn TokenProvider>, options: &Options) -> Result<Self, http_client::Error> {
        let Options { root, timeouts, ca_file, reading, priority } = options;
        let tls = http_client::tls(ca_file.as_deref())?;
        let connections = Connections::to(root, *timeouts, tls)
            .map_err(|cause| http_client::Error::Root { root: root.as_str().into(), cause })?;
        let users = format!("{}/v1.0/users/", root.path().trim_end_matches('/')).into();
        let guard = Guard::new(reading.guard.clone());
        let (reading, priority, denied) = (reading.clone(), *priority, AtomicBool::new(false));
        Ok(Self { connections, tokens, users, reading, priority, guard, denied, observer: None })
    }

    /// Tells an observer of every call.
    #[must_use]
    pub fn observed(self, observer: Arc<Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Makes a user who belongs to another contact this one's, because a person says so.
    #[must_use]
    pub fn taking_over(mut self) -> Self {
        self.reading.terms.takes_over = true;
        self
    }

    /// Path and query of a call about a user. The id is a GUID by its type, so nothing in it can leave the path.
    fn target(&self, user: UserId, query: &str) -> Result<PathAndQuery, Error> {
        let mut id = Uuid::encode_buffer();
        let id = user.0.hyphenated().encode_lower(&mut id);
        PathAndQuery::from_maybe_shared(Bytes::from([&*self.users, id, query].concat()))
            .map_err(|cause| Error::Unreachable(Cause::Request(cause.into())))
    }

    /// Whether Graph may throttle a call before others, as it is for something that can wait.
    fn yields(&self, urgency: Urgency) -> bool {
        self.priority == Priority::Low || urgency == Urgency::Replayed
    }

    fn get(&self, user: UserId, query: &str, urgency: Urgency) -> Result<Outline, Error> {
        let (target, yields) = (self.target(user, query)?, self.yields(urgency));
        Ok(Outline { method: Method::Get, target, body: Bytes::new(), yields })
    }

    /// Sends with a token; once more with a fresh one if the first was refused.
    async fn send(&self, call: &Outline) -> Result<Answered, Error> {
        let token = self.tokens.token().await.map_err(Error::Token)?;
        let answered = self.send_with(call, token.authorization()).await?;
        if answered.status() == StatusCode::FORBIDDEN && self.denied.swap(true, Relaxed) {
            // A permission is in tokens that are issued after it was granted. With the old token a pause would
            // outlast its cause by up to an hour.
            self.tokens.forget(&token).await;
        }
        if answered.status() != StatusCode::UNAUTHORIZED {
            return Ok(answered);
        }
        let answer = read_answer(answered).await;
        if answer.handling() != Handling::Renew {
            return Err(self.refused(answer));
        }
        let fresh = self.tokens.renew(&token).await.map_err(Error::Token)?;
        self.send_with(call, fresh.authorization()).await
    }

    async fn send_with(&self, call: &Outline, authorization: HeaderValue) -> Result<Answered, Error> {
        let (method, has_body) = match call.method {
            Method::Patch => (http::Method::PATCH, true),
            Method::Get => (http::Method::GET, false),
        };
        let mut request = self.connections.request(method, call.target.clone(), call.body.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(REQUEST_ID, request_id());
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if call.yields {
            headers.insert(THROTTLE_PRIORITY, HeaderValue::from_static("Low"));
        }
        self.execute(call.method, request).await.map_err(Error::Unreachable)
    }

    async fn execute(&self, method: Method, request: Request) -> Result<Answered, Cause> {
        let Some(observer) = &self.observer else { return self.connections.send(request).await };
        let (begun, started) = (Instant::now(), trace::is_on().then(clock::now));
        let sent = self.connections.send(request).await;
        let call = Call { method, answer: answer_of(&sent) };
        observer.metrics.called(call, begun.elapsed());
        if let Ok(answered) = &sent {
            observer.times.reference.answered(answered.headers(), begun, times::Reading::now());
        }
        if let Some(started) = started {
            let request_id = sent.as_ref().ok().and_then(|answered| text(answered.headers(), "request-id"));
            trace::call(method.as_str(), started, || described(call, self.connections.host(), request_id));
        }
        sent
    }

    /// Looks at a user before a write. Reads cost nothing of the write quota.
    async fn read(&self, write: &UserWrite, reading: &Reading) -> Result<Current, Error> {
        let query = format!("?$select={}", wire::selection(write, reading));
        let call = self.get(write.user, &query, write.urgency)?;
        self.fetch(&call, |body| wire::current(body, write, reading)).await
    }

    /// What `read` makes of the answer to a question. What it can make nothing of is no answer of Graph's.
    async fn fetch<T>(&self, call: &Outline, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Error> {
        let answered = self.send(call).await?;
        if answered.status() != StatusCode::OK {
            return Err(self.refused(read_answer(answered).await));
        }
        let headers = answered.headers().clone();
        let body = answered.body(LONGEST_BODY).await.map_err(Error::Unreachable)?;
        read(&body).ok_or_else(|| self.refused(wire::answer(head(StatusCode::OK, &headers), &body)))
    }

    /// Compares a write with the user as Graph shows him, and changes nothing.
    pub async fn preview(&self, write: &UserWrite) -> Result<Difference, Error> {
        let reading = Reading { diff: true, ..self.reading.clone() };
        let current = self.read(write, &reading).await?;
        let Reconciled { body, superseded, .. } =
            reconcile::reconcile(write, &current, &reading).map_err(Error::Withheld)?;
        let body = body.unwrap_or_default();
        let (identities, mut properties) = (body.identities.is_some(), Vec::new());
        for entry in &write.entries {
            let sign_in = matches!(entry.value, PropertyValue::SignIn(_));
            let written = body.properties.iter().any(|(property, _)| *property == entry.property);
            if written || (sign_in && identities) {
                properties.push(entry.property.clone());
            }
        }
        Ok(Difference { properties, superseded })
    }

    /// Sends the write; tells whether Graph hinted that a limit is near.
    async fn patch(&self, write: &UserWrite, body: &Body) -> Result<bool, Error> {
        // Our own types always serialize; a fault here would be a bug, and Graph would name it.
        let body = Bytes::from(serde_json::to_vec(&wire::Patch(body)).unwrap_or_default());
        let (target, yields) = (self.target(write.user, "")?, self.yields(write.urgency));
        let call = Outline { method: Method::Patch, target, body, yields };
        let answered = self.send(&call).await?;
        let (status, near_limit) = (answered.status(), is_near_limit(answered.headers()));
        if status != StatusCode::NO_CONTENT {
            let headers = answered.headers().clone();
            let head = head(status, &headers);
            // A body that breaks off is as good as none: the status decides.
            let body = answered.body(LONGEST_BODY).await.unwrap_or_default();
            if !wire::is_written(head, &body) {
                return Err(self.refused(wire::answer(head, &body)));
            }
        }
        self.denied.store(false, Relaxed);
        Ok(near_limit)
    }

    /// Sends the write; without the attribute of the guard if that is what a single user cannot be given.
    async fn patch_guarded(&self, write: &UserWrite, body: Body) -> Result<bool, Error> {
        let refused = match self.patch(write, &body).await {
            Ok(near_limit) => {
                self.guard.written(&body);
                return Ok(near_limit);
            }
            Err(Error::Refused { answer, .. }) if self.guard.may_be_to_blame(&answer, &body) => answer,
            Err(error) => return Err(error),
        };
        let error = Error::Refused { answer: refused, guard: self.guard.attribute().cloned() };
        let Some(without) = self.guard.left_out(write.user, body) else { return Err(error) };
        match self.patch(write, &without).await {
            Ok(near_limit) => {
                tracing::warn!(
                    user.id = %write.user,
                    "the attribute of the guard cannot be written for this user; the change was written without it",
                );
                Ok(near_limit)
            }
            // It was not the guard.
            Err(Error::Refused { answer, .. }) => Err(Error::Refused { answer, guard: None }),
            Err(error) => Err(error),
        }
    }

    fn refused(&self, answer: Answer) -> Error {
        Error::of(answer, self.connections.host())
    }
}

#[async_trait]
impl Directory for GraphClient {
    async fn apply(&self, write: &UserWrite) -> Result<Applied, Error> {
        let reconciled = if self.reading.is_needed(write) {
            let current = self.read(write, &self.reading).await?;
            reconcile::reconcile(write, &current, &self.reading).map_err(Error::Withheld)?
        } else {
            Reconciled { body: Some(reconcile::blind(write)), ..Reconciled::default() }
        };
        let Reconciled { body, superseded, went_back } = reconciled;
        let Some(body) = body else { return Ok(Applied { superseded, went_back, ..Applied::default() }) };
        let near_limit = self.patch_guarded(write, body).await?;
        Ok(Applied { written: true, near_limit, superseded, went_back })
    }

    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, Error> {
        // The values beside the mark: a third call can have carried our version on over another value.
        let reading = Reading { diff: true, ..self.reading.clone() };
        let current = self.read(write, &reading).await?;
        Ok(reconcile::undone(write, &current))
    }

    async fn probe(&self) -> Result<(), Error> {
        // A user who cannot exist: "not found" proves that the token, the permission to read and Graph work.
        let call = self.get(UserId(Uuid::max()), "?$select=id", Urgency::Live)?;
        let answer = read_answer(self.send(&call).await?).await;
        // Nothing but Graph's own word that there is no such user will do.
        if answer.handling() == Handling::NotFoundYet { Ok(()) } else { Err(self.refused(answer)) }
    }
}

/// A call as OpenTelemetry wants it described; without its path, which names a user.
fn described(
    call: Call,
    host: &str,
    request_id: Option<&str>,
) -> (Vec<(&'static str, String)>, Option<String>) {
    let attributes = [
        ("http.request.method", Some(call.method.as_str())),
        ("http.response.status_code", Some(call.answer.status_text()).filter(|status| !status.is_empty())),
        ("server.address", Some(host)),
        ("graph.request_id", request_id),
    ];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
    let failure = call.answer.error_type();
    (attributes.collect(), (!failure.is_empty()).then(|| failure.to_owned()))
}

/// How a call ended, for metrics.
fn answer_of(sent: &Result<Answered, Cause>) -> labels::Answer {
    match sent {
        Ok(answered) => labels::Answer::status(answered.status().as_u16()),
        Err(cause) if cause.is_timeout() => labels::Answer::TIMEOUT,
        Err(_) => labels::Answer::CONNECTION,
    }
}

async fn read_answer(answered: Answered) -> Answer {
    let (status, headers) = (answered.status(), answered.headers().clone());
    // A body that breaks off is as good as none: the status decides.
    let body = answered.body(LONGEST_BODY).await.unwrap_or_default();
    wire::answer(head(status, &headers), &body)
}

fn head(status: StatusCode, headers: &HeaderMap) -> Head<'_> {
    Head {
        status: status.as_u16(),
        content_type: text(headers, CONTENT_TYPE.as_str()),
        request_id: text(headers, "request-id"),
        retry_after: asked_wait(headers),
    }
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
