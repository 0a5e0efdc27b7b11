//! The changes of one user: waiting, merged into one write, or taken apart after a refusal.

use std::collections::VecDeque;

use super::{Work, evidence::Begun, last_written::Known, ready_queue::Newness};
use crate::{
    ids::ContactId, monotonic_time::MonotonicTime, patch::PatchEntry, priority::Priority, property::Property,
};

/// One user's lane.
#[derive(Debug)]
pub(super) struct Lane<T> {
    /// Not yet in a write; in order of arrival.
    waiting: Vec<Work<T>>,
    /// Left over from a merged write that was refused; applied one by one, oldest first, before all else.
    apart: VecDeque<Work<T>>,
    /// In the write that is under way.
    flying: Vec<Work<T>>,
    /// Whether a write is under way; one that only repairs carries no change.
    airborne: bool,
    /// Values that another replica's old write has undone, to be written again.
    repair: Vec<PatchEntry>,
    /// What will be known when that write has succeeded.
    pub(super) pending: Known,
    /// Failed tries of the present write, for backoff.
    pub(super) failures: u32,
    /// When the present write was first tried.
    pub(super) tried_since: Option<MonotonicTime>,
    /// When the present try began, among all writes.
    pub(super) begun: Begun,
    /// The properties that the write under way sets; fewer than its changes name, where they hold nothing new.
    properties: Vec<Property>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            apart: VecDeque::new(),
            flying: Vec::new(),
            airborne: false,
            repair: Vec::new(),
            pending: Known::default(),
            failures: 0,
            tried_since: None,
            begun: Begun::default(),
            properties: Vec::new(),
        }
    }
}

impl<T> Lane<T> {
    pub(super) fn push(&mut self, work: Work<T>) {
        self.waiting.push(work);
    }

    pub(super) fn is_flying(&self) -> bool {
        self.airborne
    }

    /// Plans to write these values again.
    pub(super) fn repair(&mut self, entries: Vec<PatchEntry>) {
        self.repair = entries;
    }

    pub(super) fn flying(&self) -> &[Work<T>] {
        &self.flying
    }

    pub(super) fn flying_len(&self) -> usize {
        self.flying.len()
    }

    /// Messages in the write that is under way; one may have come in parts.
    pub(super) fn flying_messages(&self) -> usize {
        let mut arrivals: Vec<_> = self.flying.iter().map(|work| work.stamp.arrival).collect();
        arrivals.sort_unstable();
        arrivals.dedup();
        arrivals.len()
    }

    /// Whether what came last is another part of the same message.
    pub(super) fn is_part(&self, work: &Work<T>) -> bool {
        self.waiting.last().is_some_and(|last| last.stamp.arrival == work.stamp.arrival)
    }

    /// The contacts whose changes are in the write that is under way, each once.
    pub(super) fn contacts(&self) -> Vec<ContactId> {
        let mut contacts: Vec<_> = self.flying.iter().map(|work| work.contact).collect();
        contacts.sort_unstable();
        contacts.dedup();
        contacts
    }

    /// The properties that the write under way sets.
    pub(super) fn properties(&self) -> &[Property] {
        &self.properties
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.apart.is_empty() || !self.repair.is_empty()
    }

    /// Changes that wait.
    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len() + self.apart.len()
    }

    /// How much what waits is waited for: one live change makes all live, because it waits for what is before it.
    /// So does a repair, which is of a write that was live once.
    pub(super) fn urgency(&self) -> Priority {
        self.greatest(self.apart.iter().chain(&self.waiting))
    }

    /// The same for the write that is under way.
    pub(super) fn flying_urgency(&self) -> Priority {
        self.greatest(&self.flying)
    }

    /// The newest change that waits.
    pub(super) fn newness(&self) -> Newness {
        let repaired = self.repair.iter().map(|entry| entry.stamp);
        let waiting = self.apart.iter().chain(&self.waiting).map(|work| work.stamp);
        waiting.chain(repaired).map(Newness::from).max().unwrap_or(Newness::OLDEST)
    }

    fn greatest<'a>(&'a self, works: impl IntoIterator<Item = &'a Work<T>>) -> Priority {
        let repair = (!self.repair.is_empty()).then_some(Priority::Live);
        works.into_iter().map(|work| work.urgency).chain(repair).max().unwrap_or_default()
    }

    /// Puts together the next write from what waits. Empty if everything that waits is older than what is
    /// known; then [`Lane::landed`] has what can be settled.
    pub(super) fn take_off(&mut self, known: &Known) -> Vec<PatchEntry> {
        self.board();
        self.pending = known.clone();
        for work in &self.flying {
            self.pending.add(work.stamp, &work.patch);
        }
        let mut entries = self.pending.since(known);
        for entry in &self.repair {
            if entries.iter().all(|newer| newer.property != entry.property) {
                entries.push(entry.clone());
            }
        }
        self.pending.tell_earlier(&mut entries);
        self.airborne = !entries.is_empty();
        self.properties.clear();
        self.properties.extend(entries.iter().map(|entry| entry.property.clone()));
        entries
    }

    /// What goes into the next write. The address for password reset takes a call of its own, so it is a write of its own,
    /// with a place in the budget like any; and it follows the others, because it moves only to an address that is there.
    fn board(&mut self) {
        let (repairs, is_reset) = (!self.repair.is_empty(), |work: &Work<T>| work.patch.is_reset());
        match self.apart.front() {
            Some(work) if repairs && is_reset(work) => {}
            Some(_) => self.flying.extend(self.apart.pop_front()),
            None if repairs || !self.waiting.iter().all(is_reset) => {
                self.flying.extend(self.waiting.extract_if(.., |work| !is_reset(work)));
            }
            None => self.flying.append(&mut self.waiting),
        }
    }

    /// What was known before the write that is under way is not known any more; its own values will be.
    pub(super) fn forget_earlier(&mut self) {
        self.pending = Known::default();
        for work in &self.flying {
            self.pending.add(work.stamp, &work.patch);
        }
    }

    /// Ends the write that is under way and hands out what was in it.
    pub(super) fn landed(&mut self) -> Vec<Work<T>> {
        self.failures = 0;
        self.tried_since = None;
        self.airborne = false;
        self.repair.clear();
        std::mem::take(&mut self.flying)
    }

    /// The write did not happen, or nobody knows: what was in it waits again. What has come meanwhile joins
    /// it, unless the write was one of those taken apart.
    pub(super) fn turn_back(&mut self) {
        self.airborne = false;
        let flying = std::mem::take(&mut self.flying);
        if self.apart.is_empty() {
            let newer = std::mem::replace(&mut self.waiting, flying);
            self.waiting.extend(newer);
        } else {
            for work in flying.into_iter().rev() {
                self.apart.push_front(work);
            }
        }
    }

    /// A merged write was refused: its changes are applied one by one, so that only the guilty one pays.
    pub(super) fn take_apart(&mut self) {
        let mut refused = self.landed();
        refused.sort_by_key(|work| work.stamp.order());
        self.apart.extend(refused);
    }

    /// Takes a change back that was refused once: it is tried by itself, before what waits.
    pub(super) fn doubt(&mut self, work: Work<T>) {
        self.apart.push_back(work);
    }

    /// Removes everything that waits.
    pub(super) fn drain_waiting(&mut self) -> impl Iterator<Item = Work<T>> {
        self.apart.drain(..).chain(self.waiting.drain(..))
    }

    /// Removes what waits under such a ticket.
    pub(super) fn withdraw(&mut self, is: impl Fn(&T) -> bool) -> Vec<Work<T>> {
        let mut withdrawn: Vec<_> = self.waiting.extract_if(.., |work| is(&work.ticket)).collect();
        let (gone, kept): (VecDeque<_>, _) = self.apart.drain(..).partition(|work| is(&work.ticket));
        self.apart = kept;
        withdrawn.extend(gone);
        withdrawn
    }
}
