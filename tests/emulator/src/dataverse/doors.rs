//! The doors for people and for tests in other languages: `/__journal`, `/__faults`, `/__settings`, `/__ca.pem`.
//!
//! They need no token, cost no quota, meet no fault and leave no trace in the journal. README.md describes them.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{call::Call, core::Core, faults::Fault, limits::Limits, query::Options, reply::Reply};

/// Whether a call knocks at one of these doors.
pub(crate) fn is_meant(call: &Call) -> bool {
    call.uri.path().starts_with("/__")
}

/// What can be changed while running; what is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    limits: Option<Limits>,
    latency_ms: Option<u64>,
    rights_lag_ms: Option<u64>,
    administration_mode: Option<bool>,
    /// Logical names of all tables whose changes are tracked.
    tracked: Option<Vec<String>>,
    /// All secured columns, as `table.column`.
    secured: Option<Vec<String>>,
    /// `true` makes every delta token expire.
    expire_delta_tokens: bool,
}

pub(crate) fn answer(core: &Core, call: &Call) -> Reply {
    let done = match (call.uri.path(), &call.method) {
        ("/__ca.pem", &Method::GET) => {
            Ok(Reply::text(StatusCode::OK, "application/x-pem-file", core.ca_pem.clone()))
        }
        ("/__journal", &Method::GET) => {
            let since = Options::of(call).get("since").and_then(|number| number.parse().ok()).unwrap_or(0);
            let entries: Vec<_> = core.lock().journal.since(since).cloned().collect();
            Ok(Reply::json(StatusCode::OK, json!(entries)))
        }
        ("/__faults", &Method::POST) => read::<Fault>(call).map(|fault| {
            let number = core.lock().script.add(fault);
            Reply::json(StatusCode::OK, json!({ "number": number }))
        }),
        ("/__faults", &Method::DELETE) => {
            core.lock().script.clear();
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        ("/__settings", &Method::POST) => read(call).and_then(|settings| set(core, settings)),
        _ => Err("There is no such door.".to_owned()),
    };
    done.unwrap_or_else(|why| Reply::json(StatusCode::BAD_REQUEST, json!({ "error": why })))
}

fn read<T: for<'a> Deserialize<'a>>(call: &Call) -> Result<T, String> {
    serde_json::from_slice(&call.body).map_err(|error| error.to_string())
}

fn set(core: &Core, settings: Settings) -> Result<Reply, String> {
    let split =
        |text: &String| text.split_once('.').map(|(table, column)| (table.to_owned(), column.to_owned()));
    let secured = settings.secured.map(|all| all.iter().map(split).collect::<Option<_>>());
    let mut state = core.lock();
    match secured {
        Some(None) => return Err("A secured column is written as table.column.".to_owned()),
        Some(Some(secured)) => state.rights.secured = secured,
        None => {}
    }
    if let Some(limits) = settings.limits {
        state.limits = limits;
    }
    if let Some(latency) = settings.latency_ms {
        state.latency = Duration::from_millis(latency);
    }
    if let Some(lag) = settings.rights_lag_ms {
        state.rights_lag = Duration::from_millis(lag);
    }
    if let Some(on) = settings.administration_mode {
        state.administration = on;
    }
    if let Some(tracked) = settings.tracked {
        state.tracked = tracked.into_iter().collect();
    }
    if settings.expire_delta_tokens {
        state.forgotten = Some(state.store.version());
    }
    Ok(Reply::json(StatusCode::OK, Json::Null))
}
