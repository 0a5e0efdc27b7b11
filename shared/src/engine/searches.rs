//! The messages for which Graph is asked who is meant, and when each is asked for.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::copies::Lineage;
use crate::{
    ids::{IdState, LockToken, SequenceNumber},
    mass_change::Provenance,
    monotonic_time::MonotonicTime,
    plan::LinkQuery,
    priority::Priority,
};

/// What has to be known of a message besides what it asks for.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    pub(super) enqueued: Timestamp,
    pub(super) lineage: Lineage,
    pub(super) urgency: Priority,
    pub(super) deadline: MonotonicTime,
    pub(super) provenance: Provenance,
}

/// One message, and its questions.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) queries: Vec<LinkQuery>,
    pub(super) circumstances: Circumstances,
    pub(super) begun: MonotonicTime,
    /// When to ask; nothing while the questions are under way.
    pub(super) due: Option<MonotonicTime>,
    pub(super) failures: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Searches {
    of: HashMap<LockToken, Search, IdState>,
    /// Those that are to be asked for, by when; those that came first before others.
    due: BTreeSet<(MonotonicTime, SequenceNumber, LockToken)>,
}

impl Searches {
    /// Gives all up.
    pub(super) fn clear(&mut self) {
        self.of.clear();
        self.due.clear();
    }

    /// Adds one.
    pub(super) fn insert(&mut self, lock: LockToken, search: Search) {
        self.due.extend(place(lock, &search));
        self.of.insert(lock, search);
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, lock: LockToken) -> Option<Search> {
        let search = self.of.remove(&lock)?;
        if let Some(place) = place(lock, &search) {
            self.due.remove(&place);
        }
        Some(search)
    }

    /// How many are being asked for.
    pub(super) fn under_way(&self) -> usize {
        self.of.len() - self.due.len()
    }

    /// The next one to ask for, and when.
    pub(super) fn first(&self) -> Option<(MonotonicTime, LockToken)> {
        self.due.first().map(|(due, _, lock)| (*due, *lock))
    }

    /// Takes all of them out, in the order in which they came.
    pub(super) fn drain(&mut self) -> Vec<LockToken> {
        self.due.clear();
        let mut all: Vec<_> =
            self.of.drain().map(|(lock, search)| (search.circumstances.lineage.origin, lock)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, lock)| lock).collect()
    }
}

fn place(lock: LockToken, search: &Search) -> Option<(MonotonicTime, SequenceNumber, LockToken)> {
    Some((search.due?, search.circumstances.lineage.origin, lock))
}
