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
        "countsKnown": reading.counts.is_ok(),
        "countsLowerBound": counts.lower_bound,
        "countsUnknownBecause": reading.counts.as_ref().err().map(ToString::to_string),
        "messages": {
            "active": counts.active,
            "deadLetter": counts.dead_letter,
            "scheduled": counts.scheduled,
            "transfer": counts.transfer,
        },
        "sizeBytes": counts.size_bytes,
        "oldestMessageSince": match reading.oldest {
            Oldest::Since(since) => Some(format!("{since:.0}")),
            Oldest::NoneWaits | Oldest::Unknown => None,
        },
        "oldestMessageAgeSeconds": reading.oldest.age(reading.at).map(|age| age.as_secs()),
        "deadLettersByReason": reading.reasons.seen,
        "deadLettersByReasonComplete": !reading.reasons.more,
        "warnings": snapshot.cautions.iter().map(Caution::json).collect::<Value>(),
        "worker": worker,
        "workerUrl": snapshot.worker_url,
        "workerSilentBecause": snapshot.worker.as_ref().err(),
    })
}
