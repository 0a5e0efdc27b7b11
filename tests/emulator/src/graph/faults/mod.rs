//! Faults by script: what goes wrong, for which requests, how often.

mod answer;
mod script;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub(super) use answer::http_date;
pub(super) use script::{Script, Strike};

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
    /// Only calls whose body sets this property, to whatever value.
    pub property: Option<String>,
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
    /// Holds the request back until somebody lets go; which ends this fault.
    pub hold: bool,
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
            property: None,
            skip: 0,
            every: 1,
            times: Some(1),
            for_ms: None,
            delay_ms: 0,
            hold: false,
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
    /// An answer with a status, which is an error of Graph's unless the page is somebody else's.
    Error(ErrorAnswer),
    /// An error of the token endpoint, by its `AADSTS` number.
    TokenError(u32),
    /// The connection is reset.
    Reset,
    /// Nothing; the connection stays open until the client gives up.
    Hang,
}

/// An answer with a status: an error of Graph's, or what somebody else on the way says in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorAnswer {
    /// The status.
    pub status: u16,
    /// `error.code`; left out, the usual one of the status.
    pub code: Option<String>,
    /// `error.message`; left out, something fitting.
    pub message: Option<String>,
    /// The property that `error.details` names.
    pub target: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<RetryAfter>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// What the body is.
    pub body: Page,
    /// Whether the headers that Graph puts on every answer come along, `request-id` first of all.
    pub graph_headers: bool,
}

impl Default for ErrorAnswer {
    fn default() -> Self {
        Self {
            status: 500,
            code: None,
            message: None,
            target: None,
            retry_after: None,
            headers: BTreeMap::new(),
            body: Page::Graph,
            graph_headers: true,
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
    /// Exactly this text, called what it is called.
    Text {
        /// The `Content-Type`.
        mime: String,
        /// The body.
        text: String,
    },
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

    /// Holds calls back until [`release`](super::Graph::release).
    #[must_use]
    pub fn hold() -> Self {
        Self { hold: true, times: None, ..Self::default() }
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

    /// Somebody on the way answers with a page for people: a portal, a filter or a gateway, which knows no request id.
    #[must_use]
    pub fn page(status: u16) -> Self {
        Self::status(status).body(Page::Html).without_graph_headers()
    }

    /// Refuses every write of a property, as Graph does while nobody has registered the attribute.
    #[must_use]
    pub fn unregistered(property: &str) -> Self {
        let message =
            format!("Property '{property}' does not exist as a declared property or extension property.");
        Self::status(400).patches().property(property).message(&message).target(property).always()
    }

    /// Refuses whatever is done to a user, until cleared.
    #[must_use]
    pub fn of_user(id: Uuid, status: u16, code: &str) -> Self {
        Self::status(status).code(code).user(id).always()
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

    /// Strikes only calls whose body sets this property.
    #[must_use]
    pub fn property(mut self, name: &str) -> Self {
        self.property = Some(name.to_owned());
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

    /// Sets `error.message`.
    #[must_use]
    pub fn message(self, message: &str) -> Self {
        self.edit(|error| error.message = Some(message.to_owned()))
    }

    /// Sets the property that `error.details` names.
    #[must_use]
    pub fn target(self, property: &str) -> Self {
        self.edit(|error| error.target = Some(property.to_owned()))
    }

    /// Adds a header, for example the `Location` of a redirection.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.edit(|error| drop(error.headers.insert(name.to_owned(), value.to_owned())))
    }

    /// Leaves out the headers that Graph puts on every answer: it is somebody else's.
    #[must_use]
    pub fn without_graph_headers(self) -> Self {
        self.edit(|error| error.graph_headers = false)
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
}
