//! Messages that are held aside, because one author changes too many users: before they have a lane, and without ever
//! entering one, so that no write carries anything of them.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Engine, intake::Intake};
use crate::{
    ids::{IdState, LockToken},
    mass_change::{MassChange, MassChangePolicy, Provenance},
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

impl<M> Engine<M> {
    /// What a message asks for, unless it is one of too many.
    pub(super) fn screen(&mut self, intake: Intake, provenance: &Provenance, enqueued: Timestamp) -> Intake {
        let planned = match &intake {
            Intake::Work(planned, _) => planned.as_slice(),
            Intake::LookUp(_) | Intake::Read(_) => &[],
            Intake::Settle(_) => return intake,
        };
        let writes = planned.iter().map(|write| (write.user, &write.patch));
        match self.aside.changes.judge(provenance, writes, enqueued) {
            Some(streams) => Intake::Settle(Outcome::HeldAside(streams)),
            None => intake,
        }
    }

    /// What is counted, and which streams are held.
    #[must_use]
    pub fn mass_change(&self) -> &MassChange {
        &self.aside.changes
    }

    /// The same, to tell it what the queue shows to be held.
    pub fn mass_change_mut(&mut self) -> &mut MassChange {
        &mut self.aside.changes
    }
}
