//! decode → plan, for one message.

use std::panic::AssertUnwindSafe;

use servicebus::{Message, UnreadableBody};
use shared::{
    change::Change,
    decode,
    engine::{
        Intake,
        intake::{self, undecodable},
    },
    outcome::Outcome,
    plan::Planner,
    reason::{DeadLetter, DeadLetterReason},
};

use crate::envelope::DeliveryHistory;

/// What becomes of a message, for whoever shows it and does not do it.
pub(crate) fn intake(message: &Message, planner: &Planner) -> Intake {
    intake_noting(message, planner, &mut |_| {})
}

/// The same, with a look at the changes that it reports.
pub(crate) fn intake_noting(message: &Message, planner: &Planner, decoded: Decoded<'_>) -> Intake {
    guarded(read, message, &DeliveryHistory::of(message), planner, decoded)
}

/// A panic while one message is read is that message's failure, never the worker's end.
pub(crate) fn guarded(
    read: Read,
    message: &Message,
    past: &DeliveryHistory,
    planner: &Planner,
    decoded: Decoded<'_>,
) -> Intake {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(message, planner, decoded)));
    read.unwrap_or_else(|_| unread(past))
}

/// What decodes and plans a message, and tells when it is decoded.
pub(crate) type Read = fn(&Message, &Planner, Decoded<'_>) -> Intake;

/// Is told which changes a message reports, between decoding and planning.
pub(crate) type Decoded<'d> = &'d mut dyn FnMut(&[Change]);

pub(crate) fn read(message: &Message, planner: &Planner, decoded: Decoded<'_>) -> Intake {
    let read = changes(message);
    decoded(match &read {
        Ok(intake::Read::Changes(changes, _)) => changes,
        Ok(intake::Read::Nothing(_)) | Err(_) => &[],
    });
    read.and_then(|read| intake::plan(read, planner)).unwrap_or_else(Intake::dead)
}

/// What a message reports.
pub(crate) fn changes(message: &Message) -> Result<intake::Read, DeadLetter> {
    let marked = message.properties.iter().any(|(name, _)| decode::Message::is_truncation_marker(name));
    let body = message.body.as_ref().map_err(|why| unreadable(*why))?;
    intake::changes(body, message.content_type.as_deref(), marked)
}

/// The dead letter of a message without a body that can be read.
pub(crate) fn unreadable(why: UnreadableBody) -> DeadLetter {
    match why {
        UnreadableBody::Sequence | UnreadableBody::Value => undecodable(&why),
        UnreadableBody::Message(_) => DeadLetter::new(
            DeadLetterReason::MessageUnreadable,
            &format!("{why}; Dataverse sends no such message, so find out who may send to the queue"),
        ),
    }
}

/// A message whose reading panicked: once it is handed back for later, when another version of contactsync may
/// read it; then it is dead-lettered.
fn unread(past: &DeliveryHistory) -> Intake {
    if past.attempt == 0 { Intake::Settle(Outcome::Returned(internal())) } else { Intake::dead(internal()) }
}

pub(crate) fn internal() -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::InternalError,
        "contactsync failed on this message; report it with the log of this moment, then replay the message",
    )
}
