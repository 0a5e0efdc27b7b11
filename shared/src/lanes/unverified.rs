//! Writes that are made and not yet looked at again.
//!
//! Graph has no conditional write. When two replicas have calls for one user under way at the same moment, the
//! older change can be written last, over a newer one that was written and whose message is gone. So, where
//! the guard is on, the message of a write stays until no older write can be on its way any more, and a look at
//! the mark shows that nobody has undone it; otherwise it is written again.

use std::collections::BTreeSet;

use super::{Work, last_written::Known};
use crate::{
    ids::{IdMap, UserId},
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    patch::PatchEntry,
};

/// More repairs than this in a row do not help; somebody else is at work.
const REPAIRS: u32 = 3;

#[derive(Debug)]
struct Waiting<T> {
    messages: Vec<(Work<T>, Outcome)>,
    /// What they have written. It is looked at even if the messages are gone, because they will come again.
    written: Known,
    due: MonotonicTime,
    repairs: u32,
    looking: bool,
}

/// By user, what waits to be looked at.
#[derive(Debug)]
pub(super) struct Unverified<T> {
    users: IdMap<UserId, Waiting<T>>,
    due: BTreeSet<(MonotonicTime, UserId)>,
}

impl<T> Default for Unverified<T> {
    fn default() -> Self {
        Self { users: IdMap::default(), due: BTreeSet::new() }
    }
}

impl<T> Unverified<T> {
    /// A write of this user was made; look at it then. An earlier plan for this user is dropped.
    pub(super) fn add(&mut self, user: UserId, messages: Vec<(Work<T>, Outcome)>, due: MonotonicTime) {
        let waiting = self.users.entry(user).or_insert_with(|| Waiting {
            messages: Vec::new(),
            written: Known::default(),
            due,
            repairs: 0,
            looking: false,
        });
        for (work, _) in &messages {
            waiting.written.add(work.stamp, &work.patch);
        }
        waiting.messages.extend(messages);
        self.postpone(user, due);
    }

    /// Messages that need no write of their own wait with the write that made them needless, if it is waited for.
    pub(super) fn join(&mut self, user: UserId, messages: &mut Vec<(Work<T>, Outcome)>) {
        if let Some(waiting) = self.users.get_mut(&user) {
            waiting.messages.append(messages);
        }
    }

    /// Looks later.
    pub(super) fn postpone(&mut self, user: UserId, due: MonotonicTime) {
        let Some(waiting) = self.users.get_mut(&user) else { return };
        self.due.remove(&(waiting.due, user));
        waiting.due = due;
        self.due.insert((due, user));
    }

    /// The user to look at next, and when.
    pub(super) fn first(&self) -> Option<(MonotonicTime, UserId)> {
        self.due.first().copied()
    }

    /// A look begins.
    pub(super) fn look(&mut self, user: UserId) {
        if let Some(waiting) = self.users.get_mut(&user) {
            self.due.remove(&(waiting.due, user));
            waiting.looking = true;
        }
    }

    /// A look has ended.
    pub(super) fn looked(&mut self, user: UserId) {
        if let Some(waiting) = self.users.get_mut(&user) {
            waiting.looking = false;
        }
    }

    pub(super) fn is_looking(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|waiting| waiting.looking)
    }

    pub(super) fn holds(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    /// What a look at the user must show. What is known of other properties was looked at before; it may be old
    /// by now, and to write it again would undo what another replica has written since.
    pub(super) fn written(&self, user: UserId) -> Vec<PatchEntry> {
        let Some(waiting) = self.users.get(&user) else { return Vec::new() };
        let mut entries = waiting.written.entries();
        waiting.written.tell_earlier(&mut entries);
        entries
    }

    /// Whether an undone write may be repaired; counts the repair.
    pub(super) fn may_repair(&mut self, user: UserId) -> bool {
        let Some(waiting) = self.users.get_mut(&user) else { return false };
        waiting.repairs += 1;
        waiting.repairs <= REPAIRS
    }

    /// Everything of a user is as it should be.
    pub(super) fn take(&mut self, user: UserId) -> Vec<(Work<T>, Outcome)> {
        let Some(waiting) = self.users.remove(&user) else { return Vec::new() };
        self.due.remove(&(waiting.due, user));
        waiting.messages
    }

    /// Everybody who has not been looked at.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// Removes the messages under such a ticket.
    pub(super) fn withdraw(&mut self, user: UserId, is: impl Fn(&T) -> bool) -> Vec<Work<T>> {
        let Some(waiting) = self.users.get_mut(&user) else { return Vec::new() };
        let withdrawn = waiting.messages.extract_if(.., |(work, _)| is(&work.ticket));
        withdrawn.map(|(work, _)| work).collect()
    }
}
