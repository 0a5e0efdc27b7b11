//! The snapshot for scripts: what is unknown is `null`, never 0.

use serde_json::{Value, json};

use super::Snapshot;
use crate::{operate::backlog::Oldest, settings::check::Caution};

/// One object; the same in every line of `--watch --json`.
#[must_use]
pub(crate) fn of(snapshot: &Snapshot) -> Value {
    let reading = &snapshot.reading;
    let counts = reading.counts.as_ref().copied().unwrap_or_default();
    let worker = match &snapshot.worker {
        Ok(page) => json!(page),
        Err(_) => Value::Null,
    };
    json!({
        "at": format!("{:.0}", reading.at),
        "queue": snapshot.queue,
        "counts_known": reading.counts.is_ok(),
        "counts_lower_bound": counts.lower_bound,
        "counts_unknown_because": reading.counts.as_ref().err().map(ToString::to_string),
        "messages": {
            "active": counts.active,
            "dead_letter": counts.dead_letter,
            "scheduled": counts.scheduled,
            "transfer": counts.transfer,
        },
        "size_bytes": counts.size_bytes,
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
