//! Messages that are held aside, because one author changes too many users: before they have a lane, and without ever
//! entering one, so that no write carries anything of them.

use super::{Engine, intake::Intake, searches::Circumstances};
use crate::{
    mass_change::{MassChange, Screened},
    outcome::Outcome,
};

impl<M> Engine<M> {
    /// What a message asks for, unless it is one of too many. One of many is waited for less.
    pub(super) fn screen(&mut self, intake: Intake, circumstances: &mut Circumstances) -> Intake {
        let planned = match &intake {
            Intake::Work(planned, _) => planned.as_slice(),
            Intake::LookUp(_) | Intake::Read(_) => &[],
            Intake::Settle(_) => return intake,
        };
        let writes = planned.iter().map(|write| (write.user, &write.patch));
        match self.aside.changes.judge(&circumstances.provenance, writes, circumstances.enqueued) {
            Screened::HeldAside(streams) => Intake::Settle(Outcome::HeldAside(streams)),
            Screened::Through(priority) => {
                circumstances.urgency = circumstances.urgency.min(priority);
                intake
            }
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
