//! The snapshot for scripts: what is unknown is `null`, never 0.

use serde_json::{Value, json};

use super::Snapshot;
use crate::{
    operate::backlog::{Counts, Known, Oldest},
    settings::check::Caution,
};

/// One object; the same in every line of `--watch --json`.
#[must_use]
pub fn of(snapshot: &Snapshot) -> Value {
    let reading = &snapshot.reading;
    let (known, why) = match &reading.counts {
        Counts::Known(known) => (Some(*known), None),
        Counts::Unknown(unknown) => (None, Some(unknown.to_string())),
    };
    let count = |pick: fn(&Known) -> Option<u64>| known.as_ref().and_then(pick);
    let worker = match &snapshot.worker {
        Ok(view) => json!(view),
        Err(_) => Value::Null,
    };
    json!({
        "at": format!("{:.0}", reading.at),
        "queue": snapshot.queue,
        "counts_known": known.is_some(),
        "counts_lower_bound": known.is_some_and(|known| known.is_lower_bound()),
        "counts_unknown_because": why,
        "messages": {
            "active": count(|known| known.active),
            "dead_letter": count(|known| known.dead_letter),
            "scheduled": count(|known| known.scheduled),
            "transfer": count(|known| known.transfer),
        },
        "size_bytes": count(|known| known.size_bytes),
        "oldest_message_since": match reading.oldest {
            Oldest::Since(since) => Some(format!("{since:.0}")),
            Oldest::NoneWaits | Oldest::Unknown => None,
        },
        "oldest_message_age_seconds": reading.oldest.age(reading.at).map(|age| age.as_secs()),
        "dead_letters_by_reason": reading.reasons.seen,
        "dead_letters_by_reason_complete": !reading.reasons.more,
        "warnings": snapshot.cautions.iter().map(Caution::json).collect::<Value>(),
        "worker": worker,
        "worker_url": snapshot.worker_url,
        "worker_silent_because": snapshot.worker.as_ref().err(),
    })
}
