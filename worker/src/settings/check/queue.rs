//! Whether the queue is set up so that the settings can work.

use std::time::Duration;

use servicebus::admin::{EntityProperties, Status};

use super::{
    Probe, Severity,
    caution::{self, Caution},
};
use crate::{duration::exact, settings::Settings};

const CHECK: &str = "queue";
/// Below this, half a lock is hardly enough to begin a write.
const SHORTEST_LOCK: Duration = Duration::from_secs(30);
/// A delivery counts when a replica dies or loses its lock; fewer than this are used up by a bad night.
const FEWEST_DELIVERIES: u32 = 5;

/// Everything there is to say about the queue; one good word if there is nothing.
#[must_use]
pub fn judge(address: &str, properties: &EntityProperties, settings: &Settings) -> Vec<Probe> {
    let rate = settings.engine.pace.rate();
    let found: Vec<_> = [
        status(address, properties),
        sessions(address, properties),
        forwarding(address, properties),
        lock(properties, rate),
        deliveries(properties),
        caution::dead_letters_elsewhere(address, properties).map(warning),
        caution::deleted(address, properties).map(warning),
        expiry(properties, settings.engine.max_age),
    ]
    .into_iter()
    .flatten()
    .collect();
    if found.is_empty() { vec![Probe::good(CHECK, good(address, properties))] } else { found }
}

fn good(address: &str, properties: &EntityProperties) -> String {
    let lock = properties.lock_duration.map_or_else(|| "unknown".to_owned(), exact);
    let deliveries = properties.max_delivery_count.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    format!("{address} fits: lock {lock}, {deliveries} deliveries")
}

fn status(address: &str, properties: &EntityProperties) -> Option<Probe> {
    (properties.status != Status::Active).then(|| {
        Probe::failed(CHECK, format!("{address} is {}", properties.status), "set its status to Active")
    })
}

fn sessions(address: &str, properties: &EntityProperties) -> Option<Probe> {
    (properties.requires_session == Some(true)).then(|| {
        Probe::failed(
            CHECK,
            format!("{address} requires sessions, and Dataverse sends none"),
            "make a queue without sessions; contactsync keeps the order of changes by itself",
        )
    })
}

fn forwarding(address: &str, properties: &EntityProperties) -> Option<Probe> {
    let Caution { what, remedy } = caution::forwarded(address, properties.forward_to.as_deref()?);
    Some(Probe::failed(CHECK, what, &remedy))
}

fn warning(Caution { what, remedy }: Caution) -> Probe {
    Probe::found(Severity::Warning, CHECK, what, &remedy)
}

fn lock(properties: &EntityProperties, rate: f64) -> Option<Probe> {
    let lock = properties.lock_duration.filter(|lock| *lock < SHORTEST_LOCK)?;
    let taken = (rate * lock.as_secs_f64() / 2.0).floor();
    Some(Probe::found(
        Severity::Warning,
        CHECK,
        format!(
            "a lock of {} is short: a flood of changes is gathered for a quarter of it at most, and {taken} users can \
             wait while renewals fail, so that fewer changes of one user meet",
            exact(lock)
        ),
        "set the lock duration to one to five minutes",
    ))
}

fn deliveries(properties: &EntityProperties) -> Option<Probe> {
    let most = properties.max_delivery_count.filter(|most| *most < FEWEST_DELIVERIES)?;
    Some(Probe::found(
        Severity::Warning,
        CHECK,
        format!(
            "after {most} deliveries Service Bus itself makes a message a dead letter; a delivery counts when a replica \
             dies or loses its lock, and contactsync's own tries do not"
        ),
        "set the max delivery count to 10 or more",
    ))
}

fn expiry(properties: &EntityProperties, max_age: Duration) -> Option<Probe> {
    if let Some(caution) = caution::expired(properties) {
        return Some(warning(caution));
    }
    let ttl = properties.default_ttl?;
    (ttl <= max_age).then(|| {
        Probe::found(
            Severity::Warning,
            CHECK,
            format!(
                "messages expire after {}, before retry.max_age ({}) is over",
                exact(ttl),
                exact(max_age)
            ),
            "set the time to live to some days, such as 14",
        )
    })
}
