//! What the journal is told, if one is kept.

use tokio::time::Instant;

use super::{health::HealthFault, labels::Warning, observer::Observer};
use crate::journal::{Entry, EntryMark, Id, Journal};

impl Observer {
    /// Tells the journal of something, if one is kept. The entry is formed only then.
    pub(crate) fn note(&self, entry: impl FnOnce() -> Entry<Id>) {
        if let Some(journal) = self.kept_journal() {
            journal.tell(entry());
        }
    }

    /// Tells the journal of something that others will see, which is done once [`Observer::kept`] has come to its end.
    pub(crate) fn foretell(&self, entry: impl FnOnce() -> Entry<Id>) -> Option<EntryMark> {
        Some(self.kept_journal()?.foretell(entry()))
    }

    /// Waits until what was foretold is kept, or cannot be.
    pub(crate) async fn kept(&self, foretold: Option<EntryMark>) {
        if let (Some(journal), Some(mark)) = (&self.journal, foretold) {
            journal.kept(mark).await;
        }
    }

    /// Whether the same would not wait.
    pub(crate) fn is_kept(&self, foretold: EntryMark) -> bool {
        self.journal.as_ref().is_none_or(|journal| journal.is_kept(foretold))
    }

    /// The number of a write that begins, if a journal is kept.
    #[must_use]
    pub(crate) fn next_write(&self) -> Option<u64> {
        self.kept_journal().map(Journal::next_write)
    }

    /// Looks whether the journal keeps up.
    pub(super) fn look_at_journal(&self, now: Instant) {
        if let Some(journal) = &self.journal {
            journal.look(now);
        }
    }

    /// Brings up to date what is told of the journal.
    pub(super) fn refresh_journal(&self) {
        if let Some(journal) = &self.journal {
            self.metrics.journal_lost.add(journal.take_lost());
            self.health.warn(Warning::Journal, journal.fault().map(|why| fault(&why)));
        }
    }

    fn kept_journal(&self) -> Option<&Journal> {
        self.journal.as_ref().filter(|journal| journal.is_on())
    }
}

fn fault(why: &str) -> HealthFault {
    HealthFault {
        text: format!("the journal is not written: {why}"),
        remedy: "see to the directory of journal.path: that it is there, has room and may be written; nothing but \
                 contactsync explain suffers from it",
    }
}
