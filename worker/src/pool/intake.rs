//! receive → decode → plan, for one message: what has to be written, or how it can be settled at once.

use shared::{
    change::Change,
    decode::{self, Subject},
    ids::UserId,
    patch::UserPatch,
    plan::{Needless, Plan, Planner},
    reason::{DeadLetter, DeadLetterReason, DeadLetterText},
    version::Version,
};

use super::tally::Ending;
use crate::bus::Message;

/// What a message asks for.
#[derive(Debug)]
pub enum Intake {
    /// These writes, one for each of its changes.
    Work(Vec<(UserId, Option<Version>, UserPatch)>),
    /// Nothing that Graph has to hear of.
    Settle(Ending, Option<DeadLetter>),
}

/// Reads and plans a message.
#[must_use]
pub fn read(message: &Message, planner: &Planner) -> Intake {
    match try_read(message, planner) {
        Ok(intake) => intake,
        Err(letter) => Intake::Settle(Ending::DeadLettered(letter.reason), Some(letter)),
    }
}

fn try_read(message: &Message, planner: &Planner) -> Result<Intake, DeadLetter> {
    let body = message.body.as_ref().map_err(|error| undecodable(error))?;
    let marked = message.properties.iter().any(|(name, _)| decode::Message::is_truncation_marker(name));
    let changes = match changes(body, message.content_type.as_deref(), marked, planner)? {
        Read::Changes(changes) => changes,
        Read::Nothing(why) => return Ok(unchanged(why)),
    };
    let mut writes = Vec::with_capacity(changes.len());
    let mut needless = Needless::NothingMapped;
    for change in &changes {
        match planner.plan(change) {
            Plan::Write { user, patch } => writes.push((user, change.version, patch)),
            Plan::Nothing(why) => needless = why,
            // Nothing of the message has been written yet, so taking all of it out loses no order; once the
            // contact is mended, replaying it repeats what was good in it, which is harmless.
            Plan::Impossible(letter) => return Err(letter),
        }
    }
    Ok(if writes.is_empty() { unchanged(needless) } else { Intake::Work(writes) })
}

/// What a body reports.
#[derive(Debug)]
pub enum Read {
    /// These changes of contacts.
    Changes(Vec<Change>),
    /// Nothing that could concern a user.
    Nothing(Needless),
}

/// Reads a body. `marked` tells that the message carried the property of a sender that cut it.
pub fn changes(
    body: &[u8],
    content_type: Option<&str>,
    marked: bool,
    planner: &Planner,
) -> Result<Read, DeadLetter> {
    let mut decoded = decode::decode(body, content_type).map_err(|error| undecodable(&error))?;
    if marked {
        decoded.mark_truncated();
    }
    match decoded.subject {
        Subject::Contact(changes) => Ok(Read::Changes(changes)),
        Subject::NoChange => Ok(Read::Nothing(Needless::NothingMapped)),
        Subject::Stripped => Err(planner.truncated()),
        Subject::OtherEntity { name } => Err(wrong_entity(&name)),
    }
}

fn undecodable(error: &dyn std::error::Error) -> DeadLetter {
    DeadLetter { reason: DeadLetterReason::BodyUndecodable, description: DeadLetterText::of_error(error) }
}

fn unchanged(why: Needless) -> Intake {
    Intake::Settle(Ending::Unchanged(why), None)
}

fn wrong_entity(name: &str) -> DeadLetter {
    // The name comes from the message; only what can be a logical name is repeated.
    let known = name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let table = if known { name } else { "another table" };
    DeadLetter::new(
        DeadLetterReason::WrongEntity,
        &format!("the message is about {table}, not contact; register the step on contact only"),
    )
}
