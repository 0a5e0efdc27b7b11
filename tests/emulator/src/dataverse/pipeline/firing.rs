//! What a write leads to: a system job for each step that it fires, with the letter that it posts.

use uuid::Uuid;

use super::{
    Facts,
    columns::{STEP, lookup},
    context::Firing,
    node::Members,
    post::Letter,
    steps::{Step, fired, message_name},
};
use crate::dataverse::{value::Tables, written::Written};

/// A system job to be made.
pub(super) struct Fired {
    pub(super) job: Uuid,
    pub(super) step: Step,
    pub(super) letter: Letter,
}

/// The system jobs of a write, in the order of their steps.
pub(super) fn firings(tables: &Tables, facts: &Facts, written: &Written) -> Vec<Fired> {
    let fire = |step: Step| {
        let job = Uuid::new_v4();
        let firing = Firing { facts, tables, written, step: &step, job, created: written.at };
        let letter = Letter {
            context: firing.context(),
            endpoint: endpoint_of(tables, step.id).unwrap_or_default(),
            host: facts.host.clone(),
            table: written.table.clone(),
            request: message_name(written.message),
            user: written.user,
            user_agent: written.user_agent.clone(),
            correlation: written.correlation,
        };
        Fired { job, step, letter }
    };
    fired(tables, written).into_iter().map(fire).collect()
}

/// The contexts that a write leads to, in the order of their steps.
#[must_use]
pub fn contexts(tables: &Tables, facts: &Facts, written: &Written) -> Vec<Members> {
    firings(tables, facts, written).into_iter().map(|fired| fired.letter.context).collect()
}

fn endpoint_of(tables: &Tables, step: Uuid) -> Option<Uuid> {
    lookup(tables.get(STEP)?.get(&step)?, "eventhandler")
}
