//! System jobs: what may be changed of them, from which state.

use super::{invalid, refuse};
use crate::dataverse::{
    pipeline::{columns::choice, jobs::State},
    refusal::Refusal,
    value::Row,
};

pub(super) fn check(before: Option<&Row>, target: &Row) -> Result<(), Refusal> {
    let Some(before) = before else {
        return Err(invalid("System jobs are made by the platform."));
    };
    let from = choice(before, "statecode").unwrap_or_default();
    if from == 3 {
        return Err(refuse(0x8004_4162, "The state of a system job that is completed cannot be changed."));
    }
    let state = choice(target, "statecode").unwrap_or(from);
    let status = choice(target, "statuscode").unwrap_or_else(|| status_of(state));
    match (State(state, status), from) {
        (State::READY, 1) | (State::CANCELLED, _) | (State(1, _), 1 | 2) => Ok(()),
        (State::READY, 0 | 2) if target.contains_key("postponeuntil") => Ok(()),
        (State::READY, _) => Err(refuse(0x8004_4166, "Only a suspended system job can be resumed.")),
        (State(3, _), _) => {
            Err(refuse(0x8004_4f00, "A system job can be cancelled, and not be completed otherwise."))
        }
        (State(1, _), _) => Err(refuse(0x8004_4f01, "Only a system job in progress can be paused.")),
        _ => Err(invalid("This state cannot be set.")),
    }
}

/// The status reason of a state where none is given.
fn status_of(state: i32) -> i32 {
    match state {
        1 => 10,
        2 => 20,
        3 => 32,
        _ => 0,
    }
}
