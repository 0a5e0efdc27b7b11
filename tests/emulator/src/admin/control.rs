//! This emulator's own controls over HTTP, for people and for tests in other languages.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::{
    amqp::condition::known,
    broker::{Side, Target},
    faults::Rule,
    handle::Order,
    hub::Hub,
    journal::Mark,
};

/// Adds one fault or a list of them.
pub(super) async fn add_faults(
    State(hub): State<Arc<Hub>>,
    Json(faults): Json<Value>,
) -> Result<StatusCode, Refusal> {
    let faults = if faults.is_array() { faults } else { json!([faults]) };
    let rules: Vec<Rule> = serde_json::from_value(faults)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    for rule in rules {
        hub.faults.add(rule);
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn clear_faults(State(hub): State<Arc<Hub>>) -> StatusCode {
    hub.faults.clear();
    StatusCode::NO_CONTENT
}

/// Which part of the journal is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Part {
    /// Number of events that were seen already.
    #[serde(default)]
    after: u64,
}

/// The journal as lines of text, with the number to ask from next time.
pub(super) async fn journal(State(hub): State<Arc<Hub>>, Query(part): Query<Part>) -> Json<Value> {
    let next = hub.journal.mark();
    let events = hub.journal.since(Mark::from_number(part.after));
    let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    Json(json!({ "next": next.number(), "events": events }))
}

pub(super) async fn queues(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let queues = hub.run(|broker, _| {
        let targets: Vec<Target> = broker.entities().map(|(_, _, target)| target).collect();
        let counts = targets.into_iter().flat_map(|target| {
            [target, target.on(Side::DeadLetter)].map(|target| {
                let name = broker.place(target).map(|place| place.to_string()).unwrap_or_default();
                let counts = broker.counts(target).unwrap_or_default();
                let body = json!({
                    "active": counts.active, "ready": counts.ready, "locked": counts.locked,
                    "deferred": counts.deferred, "scheduled": counts.scheduled, "bytes": counts.bytes,
                });
                (name, body)
            })
        });
        counts.collect::<serde_json::Map<String, Value>>()
    });
    Json(Value::Object(queues))
}

/// What an action needs to know; each uses its part.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    millis: u64,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    condition: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    container: Option<String>,
}

/// Does one thing at once: `drop`, `away`, `back`, `close`, `detach`, `lapse`, `skip`, `silence`, `restore` or
/// `free-session`.
pub(super) async fn act(
    State(hub): State<Arc<Hub>>,
    Path(action): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<StatusCode, Refusal> {
    let Parameters { millis, address, condition, session, container } = parameters;
    let duration = Duration::from_millis(millis);
    let target = match &address {
        None => None,
        Some(address) => Some(hub.run(|broker, _| broker.resolve(address))?),
    };
    let condition = |default: &'static str| condition.as_deref().map_or(default, known);
    if let "silence" | "free-session" = action.as_str() {
        let meant = target.zip(session);
        return strike_holder(&hub, &action, meant, container.as_deref());
    }
    match (action.as_str(), target) {
        ("drop", _) => hub.order(&Order::Cut),
        ("away", _) => hub.go_away(duration),
        ("back", _) => hub.come_back(),
        ("close", _) => hub.order(&Order::Close(condition("amqp:connection:forced"))),
        ("detach", target) => {
            hub.order(&Order::Detach { target, condition: condition("amqp:link:detach-forced") });
        }
        ("lapse", Some(target)) => {
            hub.run(|broker, now| broker.lapse(target, None, now))?;
        }
        ("skip", _) => hub.skip(duration),
        ("restore", _) => drop(hub.set_silent(false, |_, handle| handle.is_silent())),
        ("lapse", None) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "address is missing")),
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such action")),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Does what concerns one client, or whoever holds a session. That nobody does is "not found".
fn strike_holder(
    hub: &Hub,
    action: &str,
    held: Option<(Target, String)>,
    container: Option<&str>,
) -> Result<StatusCode, Refusal> {
    let struck = match (action, held, container) {
        ("silence", None, Some(container)) => {
            !hub.set_silent(true, |_, handle| *handle.container() == *container).is_empty()
        }
        ("silence", Some((target, session)), None) => hub.silence_holder(target, &session).is_some(),
        ("free-session", Some((target, session)), None) => {
            hub.run(|broker, now| broker.free_session(target, &session, now))?.is_some()
        }
        _ => {
            let text = "needed: address and session; silence may have container in their place";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
        }
    };
    if struck {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such client, or nobody holds the session"))
}
