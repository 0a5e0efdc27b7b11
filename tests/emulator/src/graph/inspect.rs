//! The doors for people and for tests in other languages: `/__state`, `/__journal`, `/__faults` and so on.
//!
//! They need no token, cost no quota, meet no fault and leave no trace in the journal. README.md describes them.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    call::Call,
    core::Core,
    faults::Fault,
    options::{Clocks, Profile, Throttle},
    reply::Reply,
    state::State,
    throttle::Quota,
    token::App,
    user::User,
};

/// No wait for news is longer.
const LONGEST_WAIT: u64 = 60_000;

/// Whether a call knocks at one of these doors.
pub(super) fn is_meant(call: &Call) -> bool {
    call.uri.path().starts_with("/__")
}

/// What can be changed while running; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    latency_ms: Option<u64>,
    stale_reads_ms: Option<u64>,
    visible_after_ms: Option<u64>,
    token_lifetime_s: Option<u64>,
    token_refresh_in_s: Option<u64>,
    profile: Option<Profile>,
    throttle: Option<Throttle>,
    clocks: Option<Clocks>,
}

/// Writes that somebody else made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    writes: u32,
    /// Whose; none means the tenant as a whole.
    #[serde(default)]
    app: Option<Uuid>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Revoke {
    challenge: bool,
}

/// A refusal of one of these doors: a status and a sentence.
type Refused = (StatusCode, String);

pub(super) async fn answer(core: &Core, call: &Call) -> Reply {
    if call.uri.path() == "/__journal" && call.method == Method::GET {
        return journal(core, call).await;
    }
    if call.uri.path() == "/__release" && call.method == Method::POST {
        core.release();
        return done();
    }
    let reply = change(core, call)
        .unwrap_or_else(|(status, message)| Reply::json(status, json!({ "error": message })));
    core.announce();
    reply
}

fn change(core: &Core, call: &Call) -> Result<Reply, Refused> {
    let now = Instant::now();
    let mut state = core.lock();
    let path = call.uri.path().trim_start_matches("/__").trim_end_matches('/');
    let (door, rest) = path.split_once('/').unwrap_or((path, ""));
    match (&call.method, door, rest) {
        (&Method::GET, "", _) => {
            Ok(Reply::text(StatusCode::OK, "text/markdown; charset=utf-8", include_str!("README.md")))
        }
        (&Method::GET, "ca.pem", _) => {
            Ok(Reply::text(StatusCode::OK, "application/x-pem-file", core.ca_pem.clone()))
        }
        (&Method::GET, "state", _) => found(overview(&state)),
        (&Method::GET, "counters", _) => found(state.journal.counters),
        (&Method::GET, "faults", _) => found(faults(&state)),
        (&Method::POST, "faults", _) => {
            let faults: Vec<Fault> = read_many(call)?;
            let numbers: Vec<u64> = faults.into_iter().map(|fault| state.script.add(fault, now)).collect();
            found(json!({ "added": numbers }))
        }
        (&Method::DELETE, "faults", _) => {
            state.script.clear();
            Ok(done())
        }
        (_, "users", id) => users(&mut state, call, id, now),
        (&Method::PUT, "apps", _) => {
            let app: App = read(call)?;
            state.tokens.apps.insert(app.id, app);
            Ok(done())
        }
        (&Method::POST, "settings", _) => {
            set(&mut state, read(call)?, now);
            Ok(done())
        }
        (&Method::POST, "quota", _) => {
            let Drain { writes, app } = read(call)?;
            match app {
                Some(app) => state.quota.drain_app(app, writes, now),
                None => state.quota.drain_tenant(writes, now),
            }
            found(state.quota.levels())
        }
        (&Method::POST, "revoke", _) => {
            let wanted: Revoke = if call.body.is_empty() { Revoke::default() } else { read(call)? };
            if wanted.challenge {
                state.tokens.revoke_with_challenge();
            } else {
                state.tokens.revoke();
            }
            Ok(done())
        }
        (&Method::POST, "reset", _) => {
            state.reset(&core.options, now).map_err(|error| (StatusCode::CONFLICT, error.to_string()))?;
            Ok(done())
        }
        _ => Err((StatusCode::NOT_FOUND, "no such door; GET /__ lists them".to_owned())),
    }
}

fn users(state: &mut State, call: &Call, id: &str, now: Instant) -> Result<Reply, Refused> {
    let known = state.directory.resolve(id);
    let known = || known.ok_or_else(|| (StatusCode::NOT_FOUND, "no such user".to_owned()));
    match call.method {
        Method::GET => found(state.directory.get(known()?)),
        Method::DELETE => {
            state.directory.purge(known()?);
            Ok(done())
        }
        Method::POST => {
            let users: Vec<User> = read_many(call)?;
            let visible_from = now + state.visible_after;
            for user in users {
                let added = state.directory.add(user, visible_from);
                added.map_err(|error| (StatusCode::CONFLICT, error.to_string()))?;
            }
            Ok(done())
        }
        _ => Err((StatusCode::METHOD_NOT_ALLOWED, "GET, POST or DELETE".to_owned())),
    }
}

/// The entries after `since`; with `wait_ms`, as soon as there is one.
async fn journal(core: &Core, call: &Call) -> Reply {
    let number = |name: &str| call.option(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let since = number("since");
    let mut news = core.news.subscribe();
    let there_is_one = async {
        loop {
            news.mark_unchanged();
            if core.lock().journal.last() > since || news.changed().await.is_err() {
                return;
            }
        }
    };
    let wait = Duration::from_millis(number("wait_ms").min(LONGEST_WAIT));
    // Running out of time is an ordinary answer: the list is empty then.
    tokio::time::timeout(wait, there_is_one).await.unwrap_or_default();
    let state = core.lock();
    let entries: Vec<_> = state.journal.since(since).collect();
    Reply::json(StatusCode::OK, json!({ "last": state.journal.last(), "entries": entries }))
}

fn overview(state: &State) -> Value {
    let directory = &state.directory;
    json!({
        "tenant": { "id": directory.tenant.id, "domain": directory.tenant.domain },
        "profile": directory.profile,
        "clocks": state.clocks,
        "users": directory.all().collect::<Vec<_>>(),
        "apps": state.tokens.apps.keys().collect::<Vec<_>>(),
        "extensions": directory.extensions,
        "counters": state.journal.counters,
        "faults": faults(state),
        "throttle": state.quota.settings,
        "quota": state.quota.levels(),
    })
}

fn faults(state: &State) -> Value {
    state.script.pending().map(|(number, fault)| json!({ "number": number, "fault": fault })).collect()
}

fn set(state: &mut State, settings: Settings, now: Instant) {
    let ms = Duration::from_millis;
    state.latency = settings.latency_ms.map_or(state.latency, ms);
    state.visible_after = settings.visible_after_ms.map_or(state.visible_after, ms);
    state.directory.lag = settings.stale_reads_ms.map_or(state.directory.lag, ms);
    state.tokens.lifetime = settings.token_lifetime_s.map_or(state.tokens.lifetime, Duration::from_secs);
    state.tokens.refresh_in =
        settings.token_refresh_in_s.map(Duration::from_secs).or(state.tokens.refresh_in);
    state.directory.profile = settings.profile.unwrap_or(state.directory.profile);
    state.clocks = settings.clocks.unwrap_or(state.clocks);
    if let Some(throttle) = settings.throttle {
        state.quota = Quota::new(throttle, state.directory.tenant.clone(), now);
    }
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Refused> {
    serde_json::from_slice(&call.body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

/// One thing or a list of them.
fn read_many<T: DeserializeOwned>(call: &Call) -> Result<Vec<T>, Refused> {
    match read(call)? {
        list @ Value::Array(_) => serde_json::from_value(list),
        one => serde_json::from_value(one).map(|one| vec![one]),
    }
    .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn found(value: impl Serialize) -> Result<Reply, Refused> {
    let body = serde_json::to_value(value);
    let body = body.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(Reply::json(StatusCode::OK, body))
}

fn done() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}
