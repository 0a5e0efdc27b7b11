//! Everything that changes while the servers run, behind one lock that is never held while waiting.

use std::time::Duration;

use hyper::{StatusCode, header::HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    call::{Call, Place},
    directory::{AddError, Change, Directory},
    faults::{Answer, Script, Strike, http_date},
    journal::{Entry, Journal, Kind},
    options::{Clocks, Options},
    refusal::Refusal,
    reply::{Ids, Reply, Verdict},
    throttle::Quota,
    token::{self, Tokens},
};

/// What a call cost.
const UNITS: &str = "x-ms-resource-unit";

/// The state of one local Graph.
#[derive(Debug)]
pub(super) struct State {
    pub(super) directory: Directory,
    pub(super) tokens: Tokens,
    pub(super) quota: Quota,
    pub(super) script: Script,
    pub(super) journal: Journal,
    pub(super) latency: Duration,
    pub(super) visible_after: Duration,
    pub(super) clocks: Clocks,
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
    pub(super) fn new(kind: Kind, reply: Reply) -> Self {
        Self { reply, kind, user: None, app: None, applied: false, changes: Vec::new() }
    }

    /// An answer of Graph with a body.
    pub(super) fn answered(status: StatusCode, body: Value) -> Self {
        Self::new(Kind::Graph, Reply::json(status, body))
    }

    /// A write that took effect.
    pub(super) fn written(id: Uuid) -> Self {
        let reply = Reply::empty(StatusCode::NO_CONTENT);
        Self { user: Some(id), applied: true, ..Self::new(Kind::Graph, reply) }
    }
}

impl State {
    pub(super) fn new(options: &Options, now: Instant) -> Result<Self, AddError> {
        let (tenant, seed) = (options.tenant.clone(), &options.seed);
        let extensions = [options.extensions.as_slice(), &seed.extensions].concat();
        let mut directory = Directory::new(tenant.clone(), options.profile, extensions);
        directory.lag = options.stale_reads;
        for user in &seed.users {
            directory.add(user.clone(), now)?;
        }
        let apps = [options.apps.as_slice(), &seed.apps].concat();
        Ok(Self {
            directory,
            tokens: Tokens::new(apps, options.token_lifetime),
            quota: Quota::new(options.throttle, tenant, now),
            script: Script::default(),
            journal: Journal::new(options.journal_capacity),
            latency: options.latency,
            visible_after: options.visible_after,
            clocks: options.clocks,
            started: now,
        })
    }

    /// Goes back to the start. Tokens stay good and the numbers of the journal go on, because clients hold both.
    pub(super) fn reset(&mut self, options: &Options, now: Instant) -> Result<(), AddError> {
        let mut fresh = Self::new(options, now)?;
        std::mem::swap(&mut fresh.journal, &mut self.journal);
        fresh.journal.clear();
        fresh.tokens.adopt(&mut self.tokens);
        fresh.started = self.started;
        *self = fresh;
        Ok(())
    }

    /// Time since the start, by which the journal tells when something happened.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The fault that strikes a call, if any.
    pub(super) fn strike(&mut self, call: &Call, now: Instant) -> Option<Strike> {
        let user = self.user_of(call);
        self.script.strike(call, user, now)
    }

    /// Carries out a call, unless its fault forbids that, writes it down, and gives the answer.
    pub(super) fn answer(&mut self, call: &Call, strike: Option<&Strike>, now: Instant) -> Verdict {
        let ids = Ids::of(&call.headers);
        let answer = strike.and_then(|strike| strike.answer.as_ref().map(|answer| (answer, strike.apply)));
        let mut handled = match answer {
            Some((_, false)) => self.not_handled(call),
            _ => self.handle(call, &ids, now),
        };
        let priced = handled.reply.headers.remove(UNITS);
        let mut verdict = None;
        match answer {
            None => {}
            Some((Answer::Error(error), _)) => handled.reply = error.reply(&ids),
            Some((Answer::TokenError(number), _)) => handled.reply = token::refuse(*number),
            Some((Answer::Reset, _)) => verdict = Some(Verdict::Reset),
            Some((Answer::Hang, _)) => verdict = Some(Verdict::Hang),
        }
        let ours = !matches!(answer, Some((Answer::Error(error), _)) if !error.graph_headers);
        if handled.kind != Kind::Token && ours {
            // Refused and faulty answers carry a price too.
            let units = priced.unwrap_or(HeaderValue::from_static("1"));
            handled.reply.headers.insert(UNITS, units);
        }
        self.record(call, &ids, &mut handled, strike.map(|strike| strike.number), verdict.is_none(), now);
        verdict.unwrap_or_else(|| {
            let reply = if ours { handled.reply.stamp(&ids) } else { handled.reply };
            Verdict::Reply(self.date(call, handled.kind, reply))
        })
    }

    /// Dates an answer by a clock that is wrong. That of an item is its envelope's, and hyper knows the right time.
    fn date(&self, call: &Call, kind: Kind, mut reply: Reply) -> Reply {
        let ahead = if kind == Kind::Token { self.clocks.authority_s } else { self.clocks.graph_s };
        if ahead != 0 && call.item.is_none() {
            reply.set("date", &http_date(ahead));
        }
        reply
    }

    fn record(
        &mut self,
        call: &Call,
        ids: &Ids,
        handled: &mut Handled,
        fault: Option<u64>,
        answered: bool,
        now: Instant,
    ) {
        let elapsed = self.age(now);
        self.journal.push(Entry {
            number: 0,
            at_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            at_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            kind: handled.kind,
            method: call.method.to_string(),
            path: call.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            user: handled.user,
            status: answered.then_some(handled.reply.status.as_u16()),
            code: handled.reply.code.take().filter(|_| answered),
            applied: handled.applied,
            changes: std::mem::take(&mut handled.changes),
            app: handled.app,
            client_request_id: ids.client.clone(),
            retry_attempt: call.header("retry-attempt").map(str::to_owned),
            low_priority: call.is_low_priority(),
            fault,
        });
    }

    fn handle(&mut self, call: &Call, ids: &Ids, now: Instant) -> Handled {
        if let Some(place) = call.place() {
            return self.graph(call, &place, ids, now);
        }
        if let Some((reply, app)) =
            token::answer(&mut self.tokens, &self.directory.tenant, self.clocks, call, now)
        {
            return Handled { app, ..Handled::new(Kind::Token, reply) };
        }
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "BadRequest", "There is no such address here.");
        Handled::new(Kind::Graph, refusal.into_reply(ids))
    }

    /// What the journal says about a call that a fault stopped.
    fn not_handled(&self, call: &Call) -> Handled {
        let kind = match call.place() {
            None => Kind::Token,
            Some(Place::Batch) => Kind::Batch,
            Some(_) if call.item.is_some() => Kind::BatchItem,
            Some(_) => Kind::Graph,
        };
        let reply = Reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
        Handled { user: self.user_of(call), ..Handled::new(kind, reply) }
    }

    fn user_of(&self, call: &Call) -> Option<Uuid> {
        match call.place() {
            Some(Place::User(key) | Place::EmailMethods(key, _)) => self.directory.resolve(&key),
            _ => None,
        }
    }
}
