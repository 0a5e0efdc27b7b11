//! The one judge of messages: decode → plan. Nothing else reads a body to say what becomes of it, so a command can
//! promise nothing that `run` does not keep.

use std::panic::{self, AssertUnwindSafe};

use jiff::Timestamp;
use servicebus::{Message, UnreadableBody};
use shared::{
    change::Change,
    decode,
    engine::{
        Intake,
        intake::{self, undecodable},
    },
    outcome::Outcome,
    plan::{Forced, Judgement, Plan, Planner, RowGrounds, SkipReason},
    reason::{DeadLetter, DeadLetterReason},
};

use crate::envelope::{self, DeliveryHistory};

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What it asks for.
    pub(crate) intake: Intake,
    /// Its past, by which its changes find their place among others.
    pub(crate) history: DeliveryHistory,
}

/// What a message reports, or the dead letter of one that reports nothing.
pub(crate) type Contents = Result<intake::DecodedBody, DeadLetter>;

/// What decodes and plans a message, and tells when it is decoded; an argument so that tests can show what a panic in
/// it does.
pub(crate) type BodyReader = fn(&Message, &Planner, RowGrounds<'_>, Reported<'_>) -> Intake;

/// Is told what a message reports, between decoding and planning.
pub(crate) type Reported<'r> = &'r mut dyn FnMut(&Contents);

/// Judges a message at this time, by what is known of its rows if it needs them. A panic is that message's failure, never the end of whoever asked.
pub(crate) fn judge(
    read: BodyReader,
    message: &Message,
    planner: &Planner,
    reading: RowGrounds<'_>,
    now: Timestamp,
    reported: Reported<'_>,
) -> Judged {
    let history = DeliveryHistory::at(message, now);
    if envelope::is_for_another(message, planner.addressee.as_ref()) {
        reported(&Ok(intake::DecodedBody::Nothing(SkipReason::OtherTarget)));
        return Judged { intake: Intake::Settle(Outcome::Unchanged(SkipReason::OtherTarget)), history };
    }
    let reading = RowGrounds { replayed: history.may_be_old, ..reading };
    let intake = guarded(|| read(message, planner, reading, reported)).unwrap_or_else(|| unread(&history));
    Judged { intake, history }
}

/// The way of `run`, without the guard.
pub(crate) fn read(
    message: &Message,
    planner: &Planner,
    reading: RowGrounds<'_>,
    reported: Reported<'_>,
) -> Intake {
    let report = decoded(message).and_then(intake::reported);
    reported(&report);
    report.and_then(|report| intake::plan(report, planner, reading)).unwrap_or_else(Intake::dead)
}

/// The changes of a report.
pub(crate) fn changes(report: &Contents) -> &[Change] {
    match report {
        Ok(intake::DecodedBody::Changes(changes, _)) => changes,
        Ok(intake::DecodedBody::Nothing(_)) | Err(_) => &[],
    }
}

/// What a message reports, for whoever needs no plan.
pub(crate) fn report(message: &Message) -> Contents {
    guarded(|| decoded(message).and_then(intake::reported)).unwrap_or_else(|| Err(internal()))
}

/// The plan for one change of a message.
pub(crate) fn plan(change: &Change, planner: &Planner, reading: RowGrounds<'_>) -> Judgement {
    let impossible = || Judgement::ByMessage(Plan::Impossible(internal()));
    guarded(|| planner.judge(change, reading)).unwrap_or_else(impossible)
}

/// The plan for one change that a person forces through.
pub(crate) fn forced(change: &Change, planner: &Planner) -> Forced {
    let impossible = || Forced { plan: Plan::Impossible(internal()), left_out: Vec::new() };
    guarded(|| planner.plan_forced(change)).unwrap_or_else(impossible)
}

/// Everything that a message says of itself; without the guard.
pub(crate) fn decoded(message: &Message) -> Result<decode::DecodedMessage, DeadLetter> {
    let marked =
        message.properties.iter().any(|(name, _)| decode::DecodedMessage::is_truncation_marker(name));
    let body = message.body.as_ref().map_err(|why| unreadable(*why))?;
    #[cfg(test)]
    assert!(!body.ends_with(PANICS), "this reading panics");
    intake::decoded(body, message.content_type.as_deref(), marked)
}

/// How a body ends whose reading panics, in tests.
#[cfg(test)]
pub(crate) const PANICS: &[u8] = b"this reading panics";

/// Reads bytes of others; `None` if that panicked.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(read)).ok()
}

/// The dead letter of a message without a body that can be read.
fn unreadable(why: UnreadableBody) -> DeadLetter {
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
fn unread(history: &DeliveryHistory) -> Intake {
    if history.attempt == 0 {
        Intake::Settle(Outcome::Returned(internal()))
    } else {
        Intake::dead(internal())
    }
}

pub(crate) fn internal() -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::InternalError,
        "contactsync failed on this message; report it with the log of this moment, then replay the message",
    )
}
