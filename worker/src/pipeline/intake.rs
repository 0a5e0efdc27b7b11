//! decode → plan, for one message.

use std::panic::AssertUnwindSafe;

use shared::{
    decode,
    engine::{
        Ending, Intake,
        intake::{self, undecodable},
    },
    plan::Planner,
    reason::DeadLetter,
};

use super::internal;
use crate::{bus::Message, pool::returns::Past};

/// What becomes of a message, for whoever shows it and does not do it.
pub(crate) fn intake(message: &Message, planner: &Planner) -> Intake {
    guarded(read, message, &Past::of(message), planner, &mut || {})
}

/// A panic while one message is read is that message's failure, never the worker's end.
pub(super) fn guarded(
    read: Read,
    message: &Message,
    past: &Past,
    planner: &Planner,
    decoded: &mut dyn FnMut(),
) -> Intake {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(message, planner, decoded)));
    read.unwrap_or_else(|_| unread(past))
}

/// What decodes and plans a message, and tells when it is decoded.
pub(super) type Read = fn(&Message, &Planner, &mut dyn FnMut()) -> Intake;

pub(super) fn read(message: &Message, planner: &Planner, decoded: &mut dyn FnMut()) -> Intake {
    let read = changes(message);
    decoded();
    read.and_then(|read| intake::plan(read, planner)).unwrap_or_else(Intake::dead)
}

/// What a message reports.
pub(crate) fn changes(message: &Message) -> Result<intake::Read, DeadLetter> {
    let marked = message.properties.iter().any(|(name, _)| decode::Message::is_truncation_marker(name));
    let body = message.body.as_ref().map_err(|error| undecodable(error))?;
    intake::changes(body, message.content_type.as_deref(), marked)
}

/// A message whose reading panicked: once it is handed back for later, when another version of contactsync may
/// read it; then it is dead-lettered.
fn unread(past: &Past) -> Intake {
    if past.attempt == 0 {
        Intake::Settle(Ending::Returned, Some(internal()))
    } else {
        Intake::dead(internal())
    }
}
