//! The journal: what a replica did with each message, kept in a bounded file for whoever asks what happened to a contact.
//!
//! The pipeline tells [`Entry`] after [`Entry`] to a [`Journal`], and a thread of its own writes them. What others see, a write or a
//! settlement, is told before it is done and waits until that is written; so a process that is killed leaves nothing that
//! is not told, and what it had begun is told as begun.
//! What stands in the file names nobody. Contacts, users and jobs are [`Tag`]s, keyed hashes of their ids; the [`TagKey`] lies
//! in a file beside it, and without it no entry can be told whose it is. Values are never told.
//!
//! Whoever asks has the id and the key, and [`read`]s every file of the directory.

mod calls;
mod entry;
mod files;
mod key;
mod names;
mod reading;
mod scribe;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    calls::{GraphCall, RequestIds, gathering, next_request_id, note},
    entry::{Entry, FailureCause, Id, Sighting, WriteEnd, names},
    files::Bounds,
    key::{Error as KeyError, Tag, TagKey},
    reading::{Place, Reading, read},
    scribe::{Journal, JournalOptions},
    store::EntryMark,
};
