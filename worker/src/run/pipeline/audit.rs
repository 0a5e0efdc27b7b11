//! A line in the log for every write, where that is wanted: who was written, by which change, and what Graph calls the request.

use shared::{lanes::Success, patch::UserWrite};

use crate::{journal::GraphCall, telemetry::logging::AUDIT};

/// Tells of a write that Graph has taken. Of one that needed no call there is nothing to tell.
pub(super) fn written(write: &UserWrite, success: &Success, calls: &[GraphCall]) {
    if !success.written {
        return;
    }
    let left_out = [&success.superseded, &success.unchanged, &success.undecided];
    let written = write
        .entries
        .iter()
        .filter(|entry| !left_out.iter().any(|left_out| left_out.contains(&entry.property)));
    let properties = joined(written.clone().map(|entry| &entry.property));
    let newest = written.map(|entry| entry.stamp.version).max_by_key(|version| version.at);
    let requests =
        calls.iter().filter(|call| call.method != "GET").filter_map(|call| call.request_id.as_deref());
    tracing::info!(
        target: AUDIT,
        { user.id = %write.user,
        contact.id = %joined(&write.contacts),
        properties = %properties,
        change.at = newest.map(|version| tracing::field::display(version.at)),
        change.row = newest.and_then(|version| version.row).map(|row| row.number),
        graph.request_id = %joined(requests) },
        "user written",
    );
}

fn joined(parts: impl IntoIterator<Item = impl ToString>) -> String {
    parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(", ")
}
