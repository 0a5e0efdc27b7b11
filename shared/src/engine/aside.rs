//! What is counted of changes, and which messages are being held aside.

use std::collections::HashSet;

use crate::{
    ids::{IdState, LockToken},
    mass_change::{MassChange, MassChangePolicy},
    outcome::Outcome,
};

/// Messages for which copies are sent at once. They are held in memory, and do not count as those that wait for their write.
const AT_ONCE: usize = 1_000;

/// What is counted, and what is being held aside.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) changes: MassChange,
    settling: HashSet<LockToken, IdState>,
}

impl Aside {
    pub(super) fn new(policy: MassChangePolicy) -> Self {
        Self { changes: MassChange::new(policy), settling: HashSet::default() }
    }

    /// A message is about to be settled.
    pub(super) fn settling(&mut self, lock: LockToken, outcome: &Outcome) {
        if matches!(outcome, Outcome::HeldAside(_)) {
            self.settling.insert(lock);
        }
    }

    /// A settlement has ended.
    pub(super) fn settled(&mut self, lock: LockToken) {
        self.settling.remove(&lock);
    }

    /// How many more messages may come if all of them are to be held aside.
    pub(super) fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.settling.len())
    }
}
