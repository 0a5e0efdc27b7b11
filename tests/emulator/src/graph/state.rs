//! Everything that changes while the servers run, behind one lock that is never held while waiting.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::call::{Call, Place};
use super::directory::{Change, Directory};
use super::journal::{Entry, Journal, Kind};
use super::options::Options;
use super::refusal::Refusal;
use super::reply::{Ids, Reply};
use super::token::{self, Grant, Tokens};
use super::{access, read};

/// The state of one local Graph.
#[derive(Debug)]
pub(super) struct State {
    pub(super) directory: Directory,
    pub(super) tokens: Tokens,
    pub(super) journal: Journal,
    pub(super) latency: Duration,
    pub(super) visible_after: Duration,
    started: Instant,
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Handled {
    pub(super) reply: Reply,
    pub(super) kind: Kind,
    pub(super) user: Option<Uuid>,
    pub(super) app: Option<Uuid>,
    pub(super) applied: bool,
    pub(super) changes: Vec<Change>,
}

impl Handled {
    fn new(kind: Kind, reply: Reply) -> Self {
        Self { reply, kind, user: None, app: None, applied: false, changes: Vec::new() }
    }
}

impl State {
    pub(super) fn new(options: &Options, now: Instant) -> Self {
        let (tenant, extensions) = (options.tenant.clone(), options.extensions.clone());
        let mut directory = Directory::new(tenant, options.profile, extensions);
        directory.lag = options.stale_reads;
        Self {
            directory,
            tokens: Tokens::new(options.apps.clone(), options.token_lifetime),
            journal: Journal::new(options.journal_capacity),
            latency: options.latency,
            visible_after: options.visible_after,
            started: now,
        }
    }

    /// Carries out a call, writes it down, and gives the answer.
    pub(super) fn answer(&mut self, call: &Call, now: Instant) -> Reply {
        let ids = Ids::of(&call.headers);
        let handled = self.handle(call, &ids, now);
        self.record(call, &ids, &handled, now);
        handled.reply.stamp(&ids)
    }

    fn record(&mut self, call: &Call, ids: &Ids, handled: &Handled, now: Instant) {
        let elapsed = now.saturating_duration_since(self.started).as_millis();
        self.journal.push(Entry {
            number: 0,
            at_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
            kind: handled.kind,
            method: call.method.to_string(),
            path: call.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            user: handled.user,
            status: Some(handled.reply.status.as_u16()),
            code: handled.reply.code.clone(),
            applied: handled.applied,
            changes: handled.changes.clone(),
            app: handled.app,
            client_request_id: ids.client.clone(),
            retry_attempt: call.header("retry-attempt").map(str::to_owned),
            fault: None,
        });
    }

    fn handle(&mut self, call: &Call, ids: &Ids, now: Instant) -> Handled {
        if let Some(place) = call.place() {
            return self.graph(call, &place, ids, now);
        }
        if let Some((reply, app)) = token::answer(&mut self.tokens, &self.directory.tenant, call, now) {
            return Handled { app, ..Handled::new(Kind::Token, reply) };
        }
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "BadRequest", "There is no such address here.");
        Handled::new(Kind::Graph, refusal.into_reply(ids))
    }

    fn graph(&mut self, call: &Call, place: &Place, ids: &Ids, now: Instant) -> Handled {
        let grant = match self.tokens.admit(call, now) {
            Ok(grant) => grant,
            Err(refusal) => return Handled::new(Kind::Graph, refusal.into_reply(ids)),
        };
        let user = match place {
            Place::User(key) => self.directory.resolve(key),
            _ => None,
        };
        let mut handled = match self.admitted(call, place, &grant, now) {
            Ok(handled) => handled,
            Err(refusal) => Handled::new(Kind::Graph, refusal.into_reply(ids)),
        };
        handled.user = handled.user.or(user);
        handled.app = Some(grant.app);
        handled.reply.set("x-ms-resource-unit", "1");
        handled
    }

    fn admitted(
        &mut self,
        call: &Call,
        place: &Place,
        grant: &Grant,
        now: Instant,
    ) -> Result<Handled, Refusal> {
        match (place, &call.method) {
            (Place::User(key), &Method::GET) => self.read_one(call, key, grant, now),
            (Place::User(key), &Method::PATCH) => self.patch(call, key, grant, now),
            (Place::Nowhere, _) => {
                let message = format!("Resource not found for the segment '{}'.", call.uri.path());
                Err(Refusal::new(StatusCode::NOT_FOUND, "BadRequest", message))
            }
            _ => {
                let message = "The HTTP method is not supported for this resource.";
                Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message))
            }
        }
    }

    fn read_one(&self, call: &Call, key: &str, grant: &Grant, now: Instant) -> Result<Handled, Refusal> {
        access::may_read(grant)?;
        let selection = read::selection(call.option("select").as_deref(), &self.directory.extensions)?;
        let found = self.directory.resolve(key).and_then(|id| self.directory.seen(id, now));
        let user = found.ok_or_else(|| Refusal::not_found(key))?;
        let reply = Reply::json(StatusCode::OK, read::single(call, user, &selection));
        Ok(Handled { user: Some(user.id), ..Handled::new(Kind::Graph, reply) })
    }

    fn patch(&mut self, call: &Call, key: &str, grant: &Grant, now: Instant) -> Result<Handled, Refusal> {
        let body = object(call)?;
        let user = self.directory.target(key, now)?;
        access::may_write(grant, user, &body)?;
        let id = user.id;
        let changes = self.directory.patch(id, body, now)?;
        let reply = Reply::empty(StatusCode::NO_CONTENT);
        Ok(Handled { user: Some(id), applied: true, changes, ..Handled::new(Kind::Graph, reply) })
    }
}

/// The body of a write, which must be a JSON object that says that it is one.
fn object(call: &Call) -> Result<Map<String, Value>, Refusal> {
    if !call.is_json() {
        return Err(Refusal::unreadable("Entity only allows writes with a JSON Content-Type header."));
    }
    serde_json::from_slice(&call.body).map_err(|_| {
        Refusal::unreadable(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of \
             valid JSON format.",
        )
    })
}
