//! What the journal is told of messages, writes and looks.

use std::sync::Arc;

use jiff::Timestamp;
use servicebus::Message;
use shared::{
    engine::LookResult,
    ids::{SequenceNumber, UserId},
    patch::UserWrite,
};

use crate::{
    envelope::DeliveryHistory,
    journal::{Entry, EntryMark, FailureCause, GraphCall, Id, RequestIds, Sighting, WriteEnd, names},
    preview::Subjects,
    telemetry::Observer,
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

/// A write of which the journal was told that it is going to be begun. Its end is told too: that it was cut off, if nobody
/// says otherwise.
pub(super) struct ToldWrite {
    observer: Arc<Observer>,
    number: u64,
    foretold: Option<EntryMark>,
    /// The ids of its calls.
    pub(super) ids: RequestIds,
    ended: bool,
}

impl ToldWrite {
    /// Tells of a write with the changes of these messages; nothing if no journal is kept.
    pub(super) fn begin(
        observer: &Arc<Observer>,
        write: &UserWrite,
        messages: impl IntoIterator<Item = SequenceNumber>,
    ) -> Option<Self> {
        let (number, ids) = (observer.next_write()?, RequestIds::new());
        let foretold = observer.foretell(|| {
            let mut messages: Vec<_> = messages.into_iter().map(|message| message.0).collect();
            // A message about several contacts can mean one user twice.
            messages.sort_unstable();
            messages.dedup();
            Entry::Write {
                write: number,
                request: ids,
                user: write.user.into(),
                contacts: write.contacts.iter().copied().map(Id::from).collect(),
                messages,
                properties: names(write.entries.iter().map(|entry| &entry.property)),
            }
        });
        Some(Self { observer: Arc::clone(observer), number, foretold, ids, ended: false })
    }

    /// Waits until it may be begun.
    pub(super) async fn kept(&self) {
        self.observer.kept(self.foretold).await;
    }

    /// Tells how it ended.
    pub(super) fn ended(mut self, end: WriteEnd, calls: Vec<GraphCall>) {
        self.tell(end, calls);
    }

    fn tell(&mut self, end: WriteEnd, calls: Vec<GraphCall>) {
        self.ended = true;
        self.observer.note(|| Entry::Wrote { write: self.number, end, calls });
    }
}

impl Drop for ToldWrite {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(WriteEnd::CutOff, Vec::new());
        }
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
