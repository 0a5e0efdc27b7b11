//! Faults by script: what goes wrong, for which requests, how often.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::call::{Call, Place};
use super::refusal::Refusal;
use super::reply::{Body, Ids, Reply};
use super::token;
use crate::clock;

/// A fault and the requests that it strikes. Every condition must hold; those left out always do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Which side it strikes.
    pub on: Scope,
    /// Only this method.
    pub method: Option<String>,
    /// Only this user.
    pub user: Option<Uuid>,
    /// Only paths (with their query) that contain this.
    pub path: Option<String>,
    /// Lets this many matching requests pass first.
    pub skip: u32,
    /// Then strikes one in this many; zero and one mean each.
    pub every: u32,
    /// Strikes this often; null means until cleared.
    pub times: Option<u32>,
    /// Lapses this long after it was scripted.
    pub for_ms: Option<u64>,
    /// Holds the request back for so long.
    pub delay_ms: u64,
    /// Lets the request take effect at once, whatever the client is told and however late.
    pub apply: bool,
    /// What the client is told in place of the ordinary answer.
    pub answer: Option<Answer>,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            on: Scope::Graph,
            method: None,
            user: None,
            path: None,
            skip: 0,
            every: 1,
            times: Some(1),
            for_ms: None,
            delay_ms: 0,
            apply: false,
            answer: None,
        }
    }
}

/// Which requests a fault looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Calls to Graph, envelopes of batches included.
    #[default]
    Graph,
    /// Items inside batches; only answers with a status can strike them.
    BatchItem,
    /// The token endpoint and the metadata of the authority.
    Token,
    /// The token endpoints of managed identities.
    ManagedIdentity,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// An error with a status.
    Error(ErrorAnswer),
    /// An error of the token endpoint, by its `AADSTS` number.
    TokenError(u32),
    /// The connection is reset.
    Reset,
    /// Nothing; the connection stays open until the client gives up.
    Hang,
}

/// An error with a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorAnswer {
    /// The status.
    pub status: u16,
    /// `error.code`; left out, the usual one of the status.
    pub code: Option<String>,
    /// `error.message`; left out, something fitting.
    pub message: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<RetryAfter>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// What the body is.
    pub body: Page,
}

impl Default for ErrorAnswer {
    fn default() -> Self {
        Self {
            status: 500,
            code: None,
            message: None,
            retry_after: None,
            headers: BTreeMap::new(),
            body: Page::Graph,
        }
    }
}

/// The forms of `Retry-After`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Seconds, with a fraction if there is one.
    Seconds(f64),
    /// An HTTP date so many seconds ahead.
    DateIn(i64),
    /// Any text.
    Text(String),
}

/// The body of an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// Graph's usual JSON.
    #[default]
    Graph,
    /// None at all.
    Empty,
    /// A page for people, as gateways send it.
    Html,
    /// Exactly this.
    Json(Value),
}

impl Fault {
    /// Answers a call to Graph with this status and the code that usually goes with it, once.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::answering(Answer::Error(ErrorAnswer { status, ..ErrorAnswer::default() }))
    }

    /// Resets the connection before the call takes effect.
    #[must_use]
    pub fn reset() -> Self {
        Self::answering(Answer::Reset)
    }

    /// Resets the connection after the call has taken effect.
    #[must_use]
    pub fn reset_after_apply() -> Self {
        Self { apply: true, ..Self::reset() }
    }

    /// Never answers.
    #[must_use]
    pub fn hang() -> Self {
        Self::answering(Answer::Hang)
    }

    /// Carries the call out, but late.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self { delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), ..Self::default() }
    }

    /// A 401 that a fresh token heals.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::status(401)
    }

    /// The concurrency violation, which was reported with 409 and might as well come with 400.
    #[must_use]
    pub fn concurrency_violation(status: u16) -> Self {
        Self::status(status).code("Directory_ConcurrencyViolation")
    }

    /// Refuses a token with an `AADSTS` number.
    #[must_use]
    pub fn token_error(number: u32) -> Self {
        Self { on: Scope::Token, ..Self::answering(Answer::TokenError(number)) }
    }

    /// Refuses a token as a gateway would: a status and no body.
    #[must_use]
    pub fn token_status(status: u16) -> Self {
        Self { on: Scope::Token, ..Self::status(status).body(Page::Empty) }
    }

    fn answering(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    /// Strikes only requests on this side.
    #[must_use]
    pub fn on(mut self, scope: Scope) -> Self {
        self.on = scope;
        self
    }

    /// Strikes only this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Strikes only writes to users.
    #[must_use]
    pub fn patches(self) -> Self {
        self.method("PATCH")
    }

    /// Strikes only this user.
    #[must_use]
    pub fn user(mut self, id: Uuid) -> Self {
        self.user = Some(id);
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes until cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Strikes one matching request in so many, until cleared or counted down.
    #[must_use]
    pub fn every(mut self, nth: u32) -> Self {
        self.every = nth;
        self
    }

    /// Lapses after this time, and strikes without limit until then.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.for_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.always()
    }

    /// Lets the call take effect although the client is told otherwise.
    #[must_use]
    pub fn but_applied(mut self) -> Self {
        self.apply = true;
        self
    }

    /// Sets `error.code`.
    #[must_use]
    pub fn code(self, code: &str) -> Self {
        self.edit(|error| error.code = Some(code.to_owned()))
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(self, after: RetryAfter) -> Self {
        self.edit(|error| error.retry_after = Some(after))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, page: Page) -> Self {
        self.edit(|error| error.body = page)
    }

    fn edit(mut self, edit: impl FnOnce(&mut ErrorAnswer)) -> Self {
        if let Some(Answer::Error(error)) = &mut self.answer {
            edit(error);
        }
        self
    }

    fn matches(&self, scope: Scope, call: &Call, user: Option<Uuid>) -> bool {
        let path = || call.uri.path_and_query().map_or("", |path| path.as_str());
        self.on == scope
            && self.method.as_ref().is_none_or(|method| call.method.as_str().eq_ignore_ascii_case(method))
            && self.user.is_none_or(|wanted| user == Some(wanted))
            && self.path.as_ref().is_none_or(|part| path().contains(part.as_str()))
    }
}

/// Which side a call is on.
pub(super) fn scope(call: &Call) -> Scope {
    match call.place() {
        Some(_) if call.item.is_some() => Scope::BatchItem,
        Some(Place::Nowhere | Place::Batch | Place::User(_) | Place::Users | Place::Delta | Place::ByIds) => {
            Scope::Graph
        }
        None if token::is_managed(call) => Scope::ManagedIdentity,
        None => Scope::Token,
    }
}

/// The faults that are still to come, in the order in which they were scripted.
#[derive(Debug, Default)]
pub(super) struct Script {
    faults: Vec<Scripted>,
    last: u64,
}

#[derive(Debug)]
struct Scripted {
    number: u64,
    fault: Fault,
    lapses: Option<Instant>,
    /// Matching requests so far.
    met: u32,
}

/// A fault that strikes.
#[derive(Clone, Debug)]
pub(super) struct Strike {
    pub(super) number: u64,
    pub(super) delay: Duration,
    pub(super) apply: bool,
    pub(super) answer: Option<Answer>,
}

impl Script {
    pub(super) fn add(&mut self, fault: Fault, now: Instant) -> u64 {
        self.last += 1;
        let lapses = fault.for_ms.map(|time| now + Duration::from_millis(time));
        self.faults.push(Scripted { number: self.last, fault, lapses, met: 0 });
        self.last
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = (u64, &Fault)> {
        self.faults.iter().map(|scripted| (scripted.number, &scripted.fault))
    }

    /// The first fault that strikes this call, if any.
    pub(super) fn strike(&mut self, call: &Call, user: Option<Uuid>, now: Instant) -> Option<Strike> {
        if self.faults.is_empty() {
            return None;
        }
        self.faults.retain(|one| one.lapses.is_none_or(|lapses| lapses > now));
        let scope = scope(call);
        let at = self.faults.iter_mut().position(|one| {
            let matches = one.fault.matches(scope, call, user);
            one.met += u32::from(matches);
            matches && one.met > one.fault.skip && (one.met - one.fault.skip) % one.fault.every.max(1) == 0
        })?;
        let one = &mut self.faults[at];
        let strike = Strike {
            number: one.number,
            delay: Duration::from_millis(one.fault.delay_ms),
            apply: one.fault.apply,
            answer: one.fault.answer.clone(),
        };
        one.fault.times = one.fault.times.map(|times| times.saturating_sub(1));
        if one.fault.times == Some(0) {
            self.faults.remove(at);
        }
        Some(strike)
    }
}

impl ErrorAnswer {
    pub(super) fn reply(&self, ids: &Ids) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, message) = usual(self.status);
        let code = self.code.as_deref().unwrap_or(code);
        let mut refusal = Refusal::new(status, code, self.message.as_deref().unwrap_or(message));
        if self.status == 401 {
            refusal = refusal.with_header("www-authenticate", "Bearer realm=\"\"");
        }
        let mut reply = refusal.into_reply(ids);
        match &self.body {
            Page::Graph => {}
            Page::Empty => (reply.body, reply.code) = (Body::Empty, None),
            Page::Html => {
                let text = format!("<html><body><h1>{status}</h1></body></html>");
                (reply.body, reply.code) = (Body::Other("text/html", text.into()), None);
            }
            Page::Json(value) => reply.body = Body::Json(value.clone()),
        }
        if let Some(after) = &self.retry_after {
            reply.set("retry-after", &after.to_header());
        }
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                reply.headers.insert(name, value);
            }
        }
        reply
    }
}

impl RetryAfter {
    pub(super) fn to_header(&self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::DateIn(seconds) => http_date(*seconds),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The moment so many seconds ahead, as HTTP writes it.
pub(super) fn http_date(ahead: i64) -> String {
    let then = clock::now().saturating_add(SignedDuration::from_secs(ahead));
    then.map(|then| then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).unwrap_or_default()
}

/// The code and message that usually go with a status.
fn usual(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("Request_BadRequest", "The request is invalid."),
        401 => ("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
        403 => ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
        404 => ("Request_ResourceNotFound", "The resource does not exist."),
        409 => ("Directory_ConcurrencyViolation", "Please wait briefly and retry."),
        412 => ("Request_PreconditionFailed", "A precondition failed."),
        422 => ("Request_UnprocessableEntity", "The request cannot be processed."),
        423 => ("Request_Locked", "The resource is locked."),
        429 => ("TooManyRequests", "Too many requests"),
        500 => ("Service_InternalServerError", "Encountered an internal server error."),
        503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
        _ => ("UnknownError", ""),
    }
}
