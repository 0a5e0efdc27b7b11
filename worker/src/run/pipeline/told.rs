//! What the journal is told of messages, writes and looks.

use jiff::Timestamp;
use servicebus::Message;
use shared::{
    engine::LookResult,
    ids::{SequenceNumber, UserId},
    patch::UserWrite,
};

use crate::{
    envelope::DeliveryHistory,
    journal::{Entry, FailureCause, GraphCall, Id, Sighting, names},
    preview::Subjects,
};

/// A message was delivered.
pub(super) fn seen(
    message: &Message,
    past: &DeliveryHistory,
    enqueued: Timestamp,
    subjects: &Subjects,
) -> Entry<Id> {
    Entry::Seen(Sighting {
        message: message.sequence.0,
        copy_of: (past.arrival != message.sequence).then_some(past.arrival.0),
        attempt: past.attempt,
        replays: past.generation,
        deliveries: message.delivery_count.0,
        enqueued: enqueued.as_millisecond(),
        contacts: subjects.contacts.iter().copied().map(Id::from).collect(),
        users: subjects.users.iter().copied().map(Id::from).collect(),
        job: subjects.job.map(Id::from),
    })
}

/// Graph has said whom a message means.
pub(super) fn found(message: SequenceNumber, users: &[UserId]) -> Entry<Id> {
    Entry::Found { message: message.0, users: users.iter().copied().map(Id::from).collect() }
}

/// A write is begun.
pub(super) fn write_begun(number: u64, write: &UserWrite, messages: &[SequenceNumber]) -> Entry<Id> {
    Entry::Write {
        write: number,
        user: write.user.into(),
        contacts: write.contacts.iter().copied().map(Id::from).collect(),
        messages: messages.iter().map(|message| message.0).collect(),
        properties: names(write.entries.iter().map(|entry| &entry.property)),
    }
}

/// A second look ended.
pub(super) fn looked(user: UserId, result: &LookResult, calls: Vec<GraphCall>) -> Entry<Id> {
    Entry::Looked {
        user: user.into(),
        undone: result.as_ref().map(names).unwrap_or_default(),
        failed: result.as_ref().err().map(|failure| FailureCause::from(&failure.dead_letter)),
        calls,
    }
}
