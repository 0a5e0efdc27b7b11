//! The way of one request: the token, the limits, a delay, the operation, the answer, and the faults in between.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::http::request::Parts;
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{
    call::Call,
    doors,
    faults::{Answer, Fault},
    pipeline,
    reply::Reply,
    state::State,
    value::Tables,
};
use crate::{
    clock,
    graph::{Audience, Graph},
    web::{Outcome, Service},
};

/// What the listeners and the handle share.
pub(crate) struct Core {
    state: Mutex<State>,
    /// Carries the number of the last journal entry to those who wait for one.
    pub(crate) news: watch::Sender<u64>,
    pub(crate) ca_pem: String,
    authority: Arc<Graph>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(state: State, ca_pem: String, authority: Arc<Graph>) -> Self {
        Self { state: Mutex::new(state), news: watch::Sender::new(0), ca_pem, authority }
    }

    /// The state; the guard must not live across an `.await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while a test looks at the state leaves it whole; the next test may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that something happened.
    pub(crate) fn announce(&self) {
        let last = self.lock().journal.last();
        self.news.send_replace(last);
    }

    /// The app behind the token of a call, if the token is for this very organization.
    fn app(&self, call: &Call) -> Option<Uuid> {
        let (scheme, token) = call.header("authorization")?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let grant = self.authority.look_up_token(token, Audience::Dataverse)?;
        (grant.resource.trim_end_matches('/') == call.origin()).then_some(grant.app)
    }

    async fn answer(&self, call: &Call) -> Outcome {
        let (app, request, began) = (self.app(call), Uuid::new_v4(), Instant::now());
        let (strike, admitted, delay) = {
            let mut state = self.lock();
            let strike = state.script.strike(call);
            let limits = state.limits;
            let admitted = app.map(|app| state.usage.begin(app, &limits, began));
            let own = strike.as_ref().map_or(0, |(_, fault)| fault.delay_ms);
            (strike, admitted, state.latency + Duration::from_millis(own))
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let fault = strike.as_ref().map(|(_, fault)| fault);
        let (reply, left) = {
            let mut state = self.lock();
            let reply = match (app, admitted) {
                (Some(app), Some(Ok(()))) => state.answer(call, app, request, fault, true),
                (_, Some(Err((limit, seconds)))) => Reply::refused(limit.refusal(&state.limits), false)
                    .with("retry-after", &seconds.to_string()),
                _ => state.challenge(call),
            };
            if let (Some(app), Some(Ok(()))) = (app, admitted) {
                state.usage.end(app, began, Instant::now());
            }
            let shown = Some(&reply).filter(|_| !is_silent(fault));
            state.record(call, app, shown, strike.as_ref().map(|(number, _)| *number));
            let left = app.map(|app| state.usage.left(app, &state.limits));
            (reply, left)
        };
        self.announce();
        match fault.and_then(|fault| fault.answer.as_ref()) {
            Some(Answer::Reset) => Outcome::Reset,
            Some(Answer::Hang) => Outcome::Hang,
            _ => {
                let mut reply = reply;
                reply.stamp(request, left);
                Outcome::Response(reply.into_response(call))
            }
        }
    }
}

impl pipeline::Store for Core {
    fn change(&self, change: &mut dyn FnMut(&mut Tables)) {
        self.lock().store.edit_jobs(change);
        self.announce();
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }
}

/// Whether the client gets no answer at all.
fn is_silent(fault: Option<&Fault>) -> bool {
    matches!(fault.and_then(|fault| fault.answer.as_ref()), Some(Answer::Reset | Answer::Hang))
}

impl Service for Core {
    const LARGEST_BODY: usize = 16 * 1024 * 1024;

    async fn respond(&self, head: Parts, body: Bytes, secure: bool) -> Outcome {
        let call =
            Call { method: head.method, uri: head.uri, headers: head.headers, body, secure, is_item: false };
        if doors::is_meant(&call) {
            return Outcome::Response(doors::answer(self, &call).into_response(&call));
        }
        self.answer(&call).await
    }
}
