//! Graph over HTTP.

mod find;
mod holder;
mod mark;
mod pages;
mod reset;
mod roles;
mod users;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use servicebus::{clock, times};
use shared::{
    ids::UserId,
    lanes::Success,
    patch::{PropertyValue, UserWrite},
    plan::{LinkAnswer, LinkQuery},
    priority::Priority,
    property::Property,
    reconcile::{self, Body, Current, ReadPolicy, Reconciled},
    retry_after, second_look,
};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

pub(crate) use self::users::{UserPage, UserQuery};
use super::{
    Difference, Directory, Error, GraphRefusal,
    answer::Handling,
    error::CallFailure,
    guard::Guard,
    wire::{self, Head},
};
use crate::{
    http_client,
    identity::TokenProvider,
    journal,
    telemetry::{
        Observer,
        labels::{self, Call, Method},
        trace,
    },
};

/// What the client needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Root of Graph, without version: `https://graph.microsoft.com`.
    pub root: Url,
    /// What is read of a user before a write.
    pub reading: ReadPolicy,
    /// Which of our calls Graph should throttle first.
    pub priority: ThrottlePriority,
}

/// How Graph should rank our calls when it throttles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ThrottlePriority {
    /// Like everybody's.
    #[default]
    Normal,
    /// Before others: for work that can wait, such as replays.
    Low,
}

/// The directory behind Graph's `users`.
pub(crate) struct GraphClient {
    http: reqwest::Client,
    tokens: Arc<dyn TokenProvider>,
    /// The address of all users; a user's id is joined to it.
    users: Url,
    reading: ReadPolicy,
    priority: ThrottlePriority,
    guard: Guard,
    /// Whether a user was denied and nobody written since.
    denied: AtomicBool,
    observer: Option<Arc<Observer>>,
    /// Whether a write may be started now; nothing stands in the way where there is one replica.
    may_write: Option<MayWrite>,
    /// Until when looks may show what is about to be overwritten.
    distrusted_until: Mutex<Option<Instant>>,
}

/// Whether this replica is sure to be the writer, asked immediately before each write goes out.
pub(crate) type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// Errors and users with a few properties are small; nothing longer is read.
const LONGEST_BODY: usize = 256 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
/// Tells Graph to throttle a call before others, for what can wait.
const THROTTLE_PRIORITY: HeaderName = HeaderName::from_static("x-ms-throttle-priority");

/// A call before it has a token.
struct Outline {
    method: Method,
    url: Url,
    body: Bytes,
    /// Whether Graph may throttle it before others.
    yields: bool,
}

impl GraphClient {
    /// A client that authenticates with these tokens.
    #[must_use]
    pub(crate) fn new(http: &http_client::Client, tokens: Arc<dyn TokenProvider>, options: &Options) -> Self {
        let Options { root, reading, priority } = options;
        let mut users = root.clone();
        users.set_path(&format!("{}/v1.0/users/", root.path().trim_end_matches('/')));
        let (http, guard) = (http.to(root).clone(), Guard::new(reading.guard.clone()));
        let (reading, priority, denied) = (reading.clone(), *priority, AtomicBool::new(false));
        Self {
            http,
            tokens,
            users,
            reading,
            priority,
            guard,
            denied,
            observer: None,
            may_write: None,
            distrusted_until: Mutex::default(),
        }
    }

    /// Tells an observer of every call.
    #[must_use]
    pub(crate) fn observed(self, observer: Arc<Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Starts a write only while this says so.
    #[must_use]
    pub(crate) fn fenced(self, may_write: Option<MayWrite>) -> Self {
        Self { may_write, ..self }
    }

    /// Makes a user who belongs to another contact this one's, because a person says so.
    #[must_use]
    pub(crate) fn taking_over(mut self) -> Self {
        self.reading.terms.takes_over = true;
        self
    }

    /// The address of a user. The id is a GUID by its type, so nothing in it can leave the path.
    fn url(&self, user: UserId) -> Url {
        let mut url = self.users.clone();
        url.set_path(&format!("{}{user}", self.users.path()));
        url
    }

    /// Whether Graph may throttle a call before others, as it is for something that can wait.
    fn yields(&self, urgency: Priority) -> bool {
        self.priority == ThrottlePriority::Low || urgency == Priority::Replayed
    }

    fn get(&self, user: UserId, select: &str, urgency: Priority) -> Outline {
        let mut url = self.url(user);
        url.set_query(Some(&format!("$select={select}")));
        Outline { method: Method::Get, url, body: Bytes::new(), yields: self.yields(urgency) }
    }

    /// Sends with a token; once more with a fresh one if the first was refused.
    async fn send(&self, call: &Outline) -> Result<Response, Error> {
        let token = self.tokens.token().await.map_err(Error::Token)?;
        let response = self.send_with(call, token.authorization()).await?;
        if response.status() == StatusCode::FORBIDDEN && self.denied.swap(true, Relaxed) {
            // A permission is in tokens that are issued after it was granted. With the old token a pause would
            // outlast its cause by up to an hour.
            self.tokens.forget(&token).await;
        }
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let answer = read_answer(response).await;
        if answer.handling() != Handling::Renew {
            return Err(self.refused(answer));
        }
        let fresh = self.tokens.renew(&token).await.map_err(Error::Token)?;
        self.send_with(call, fresh.authorization()).await
    }

    async fn send_with(&self, call: &Outline, authorization: HeaderValue) -> Result<Response, Error> {
        let method = match call.method {
            Method::Patch => reqwest::Method::PATCH,
            Method::Get => reqwest::Method::GET,
        };
        let mut request = Request::new(method, call.url.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(REQUEST_ID, request_id());
        if call.yields {
            headers.insert(THROTTLE_PRIORITY, HeaderValue::from_static("Low"));
        }
        if !call.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(call.body.clone().into());
        }
        // The last moment before the call is out of our hands. What waited for a token or a look may have waited long.
        if call.method == Method::Patch && self.may_write.as_ref().is_some_and(|may_write| !may_write()) {
            return Err(Error::NotWriter);
        }
        self.execute(call.method, request).await.map_err(Error::Unreachable)
    }

    async fn execute(&self, method: Method, request: Request) -> Result<Response, CallFailure> {
        let Some(observer) = &self.observer else { return Ok(self.http.execute(request).await?) };
        let (begun, started) = (Instant::now(), trace::is_on().then(clock::now));
        let client_id = request.headers().get(REQUEST_ID).cloned();
        let sent = self.http.execute(request).await.map_err(CallFailure::from);
        let call = Call { method, answer: answer_of(&sent) };
        observer.metrics.called(call, begun.elapsed());
        if let Ok(response) = &sent {
            observer.times.reference.answered(response.headers(), begun, times::ClockReading::now());
        }
        let request_id = sent.as_ref().ok().and_then(|response| text(response.headers(), "request-id"));
        journal::note(|| {
            let client_id = client_id.as_ref().and_then(|id| id.to_str().ok());
            journal::GraphCall::new(method.as_str(), call.answer.as_str(), request_id, client_id)
        });
        if let Some(started) = started {
            trace::call(method.as_str(), started, || described(call, self.host(), request_id));
        }
        sent
    }

    /// Looks at a user before a write. Reads cost nothing of the write quota.
    async fn read(&self, write: &UserWrite, reading: &ReadPolicy) -> Result<Current, Error> {
        let call = self.get(write.user, &wire::selection(write, reading), write.urgency);
        self.fetch(&call, |body| wire::current(body, write, reading)).await
    }

    /// What `read` makes of the answer to a question. What it can make nothing of is no answer of Graph's.
    async fn fetch<T>(&self, call: &Outline, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Error> {
        self.fetch_within(call, LONGEST_BODY, read).await
    }

    /// The same for an answer of at most so many bytes.
    async fn fetch_within<T>(
        &self,
        call: &Outline,
        longest: usize,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let mut response = self.send(call).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(read_answer(response).await));
        }
        let body = http_client::body(&mut response, longest).await.map_err(CallFailure::from);
        let body = body.map_err(Error::Unreachable)?.unwrap_or_default();
        read(&body).ok_or_else(|| self.refused(wire::answer(head(&response), &body)))
    }

    /// Compares a write with the user as Graph shows him, and looks whether somebody else has an address that is wanted.
    /// Changes nothing.
    pub(crate) async fn forecast(&self, write: &UserWrite) -> Result<Difference, Error> {
        if write.reset().is_some() {
            return self.preview_reset(write).await;
        }
        let (difference, body) = self.compared(write).await?;
        self.check_nobody_holds(write, &body).await?;
        Ok(difference)
    }

    /// Compares a write with the user as Graph shows him, and changes nothing.
    pub(crate) async fn preview(&self, write: &UserWrite) -> Result<Difference, Error> {
        if write.reset().is_some() {
            return self.preview_reset(write).await;
        }
        self.preview_user(write).await
    }

    async fn preview_user(&self, write: &UserWrite) -> Result<Difference, Error> {
        Ok(self.compared(write).await?.0)
    }

    /// What a write would change, and what would be sent.
    async fn compared(&self, write: &UserWrite) -> Result<(Difference, Body), Error> {
        let reading = ReadPolicy { diff: true, ..self.reading.clone() };
        let current = self.read(write, &reading).await?;
        let Reconciled { body, superseded, .. } =
            reconcile::reconcile(write, &current, &reading).map_err(Error::Withheld)?;
        let body = body.unwrap_or_default();
        let mut properties = Vec::new();
        for entry in &write.entries {
            let sign_in = matches!(entry.value, PropertyValue::SignIn(_));
            let written = body.properties.iter().any(|(property, _)| *property == entry.property);
            if written || (sign_in && body.identities.is_some()) {
                properties.push(entry.property.clone());
            }
        }
        Ok((Difference { properties, superseded }, body))
    }

    /// Sends the write; tells whether Graph hinted that a limit is near.
    async fn patch(&self, write: &UserWrite, body: &Body) -> Result<bool, Error> {
        // Our own types always serialize; a fault here would be a bug, and Graph would name it.
        let body = Bytes::from(serde_json::to_vec(&wire::Patch(body)).unwrap_or_default());
        let (url, yields) = (self.url(write.user), self.yields(write.urgency));
        let response = self.send_write(&Outline { method: Method::Patch, url, body, yields }).await?;
        Ok(is_near_limit(response.headers()))
    }

    /// Sends a call that writes, and returns the answer if it was written.
    async fn send_write(&self, call: &Outline) -> Result<Response, Error> {
        let mut response = self.send(call).await?;
        if response.status() != StatusCode::NO_CONTENT {
            // A body that breaks off is as good as none: the status decides.
            let body = read_body(&mut response).await.unwrap_or_default();
            if !wire::is_written(head(&response), &body) {
                return Err(self.refused(wire::answer(head(&response), &body)));
            }
        }
        self.denied.store(false, Relaxed);
        Ok(response)
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

    /// Writes to the user himself, by one call.
    async fn apply_to_user(&self, write: &UserWrite) -> Result<Success, Error> {
        let reconciled = if self.reading.is_needed(write) {
            let reading =
                ReadPolicy { diff: self.reading.diff && !self.is_distrusted(), ..self.reading.clone() };
            let current = self.read(write, &reading).await?;
            reconcile::reconcile(write, &current, &reading).map_err(Error::Withheld)?
        } else {
            Reconciled { body: Some(reconcile::blind(write)), ..Reconciled::default() }
        };
        let Reconciled { body, superseded, unchanged, went_back, gives_way } = reconciled;
        let done = Success { superseded, unchanged, went_back, ..Success::default() };
        let Some(body) = body else { return Ok(done) };
        let near_limit = self.patch_or_name_holder(write, body).await?;
        Ok(Success { written: true, near_limit, gave_way: gives_way, ..done })
    }

    /// Whether a writer before this one may still have a call under way.
    fn is_distrusted(&self) -> bool {
        let until = *self.distrusted_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn refused(&self, answer: GraphRefusal) -> Error {
        Error::of(answer, self.host())
    }

    /// Whom we ask.
    fn host(&self) -> &str {
        self.users.host_str().unwrap_or_default()
    }
}

#[async_trait]
impl Directory for GraphClient {
    async fn apply(&self, write: &UserWrite) -> Result<Success, Error> {
        if write.reset().is_some() {
            self.apply_with_reset(write).await
        } else {
            self.apply_to_user(write).await
        }
    }

    async fn verify(&self, write: &UserWrite) -> Result<Vec<Property>, Error> {
        // The values beside the mark: a third call can have carried our version on over another value.
        let reading = ReadPolicy { diff: true, ..self.reading.clone() };
        let current = self.read(write, &reading).await?;
        let mut undone = second_look::undone(write, &current, self.reading.diff);
        undone.extend(self.undone_reset(write).await?);
        Ok(undone)
    }

    async fn find(&self, query: &LinkQuery) -> Result<LinkAnswer, Error> {
        self.ask_who(query).await
    }

    fn distrust_looks_until(&self, until: Instant) {
        *self.distrusted_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    async fn probe(&self) -> Result<(), Error> {
        // A user who cannot exist: "not found" proves that the token, the permission to read and Graph work.
        let call = self.get(UserId(Uuid::max()), "id", Priority::Live);
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
fn answer_of(sent: &Result<Response, CallFailure>) -> labels::CallOutcome {
    match sent {
        Ok(response) => labels::CallOutcome::status(response.status().as_u16()),
        Err(CallFailure::NoConnection | CallFailure::NoAnswer) => labels::CallOutcome::TIMEOUT,
        Err(CallFailure::Broken(_)) => labels::CallOutcome::CONNECTION,
    }
}

async fn read_answer(mut response: Response) -> GraphRefusal {
    // A body that breaks off is as good as none: the status decides.
    let body = read_body(&mut response).await.unwrap_or_default();
    wire::answer(head(&response), &body)
}

/// The body of an answer; nothing if it is longer than any of Graph's.
async fn read_body(response: &mut Response) -> Result<Vec<u8>, CallFailure> {
    Ok(http_client::body(response, LONGEST_BODY).await?.unwrap_or_default())
}

fn head(response: &Response) -> Head<'_> {
    let headers = response.headers();
    Head {
        status: response.status().as_u16(),
        content_type: text(headers, CONTENT_TYPE.as_str()),
        request_id: text(headers, "request-id"),
        retry_after: asked_wait(headers),
    }
}

/// The id for a call: the one that the journal was told before, or a fresh one. Nothing depends on it being hard to guess, so
/// it costs no system call.
fn request_id() -> HeaderValue {
    let fresh = || uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let id = journal::next_request_id().unwrap_or_else(fresh);
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

#[cfg(test)]
mod tests;
