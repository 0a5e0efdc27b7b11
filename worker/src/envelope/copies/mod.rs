//! Copies that take the place of a message: handed back for later, or put back from the dead letters. A copy is
//! confirmed before its original is completed.
//!
//! The copy never travels under the original's message-id: with duplicate detection the queue would accept
//! and silently drop it, and completing the original would then lose the change. It carries what is needed
//! to treat it like the original: how often it came back, when it was first seen, and its place in the order.

use jiff::Timestamp;
use servicebus::{ApplicationProperties, ApplicationValue, Message, Outgoing};
use shared::{
    ids::SequenceNumber,
    mass_change::{Author, Stream},
    priority::Priority,
    target::TargetName,
};
use uuid::Uuid;

use super::{
    APPROVED, ATTEMPT, CODE, CONTACT, DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, DUE, DeliveryHistory,
    FIRST_SEEN, FOR_TARGET, FROM_DEAD_LETTER, HELD_FOR, HELD_SINCE, HeldAside, JOB, ORIGINAL_ID, REPLAY_ID,
    REPLAYED_AT, REPLAYED_REASON, REPLAYED_SEQUENCE, REPLAYS, SEQUENCE, TARGET, USER, aside,
    history::{is_late, original, shows_failure},
};

/// Longest reason that is carried on, in characters: as a rule it is one word.
const LONGEST_REASON: usize = 128;

/// Makes ids of copies: version-5 GUIDs in a space of our own.
const COPIES: Uuid = Uuid::from_u128(0x7b0b_3c5e_2f51_4d0e_9a35_c0f1_6d3a_9b21);

/// The copy of a message that comes back, to one target only if it names one. `None` if its body cannot be carried along.
#[must_use]
pub(crate) fn copy(message: &Message, now: Timestamp, target: Option<&TargetName>) -> Option<Outgoing> {
    let (past, original) = (DeliveryHistory::at(message, now), original(message));
    let attempt = past.attempt + 1;
    let mut properties = remembered(message, now);
    properties.set(ATTEMPT, ApplicationValue::I64(i64::from(attempt)));
    properties.remove(DUE);
    if shows_failure(message) || is_late(message, now) {
        // As if a replay had put it back when it was sent again.
        without_failure(&mut properties);
        properties.set(REPLAYED_AT, ApplicationValue::I64(past.since.unwrap_or(now).as_millisecond()));
    }
    // The same copy made twice, by two replicas say, gets the same id, and so is one copy to a queue that
    // detects duplicates. A dead letter that is sent again begins a new row of ids, or the queue would drop its
    // copies for those of its first life.
    let life = match properties.get(REPLAYED_AT) {
        Some(ApplicationValue::I64(at)) => format!("/{at}"),
        _ => String::new(),
    };
    // Copies for several targets meet in one topic, and the numbers of their subscriptions may be the same: by one id, a
    // topic that detects duplicates would drop all but the first.
    let whose = target.map_or_else(String::new, |target| format!("/{target}"));
    let copy = outgoing(message, properties, &format!("{original}/{}/{attempt}{life}{whose}", past.arrival))?;
    Some(addressed(copy, target))
}

/// The copy with the time at which the queue shall show it.
#[must_use]
pub(crate) fn due(mut copy: Outgoing, at: Timestamp) -> Outgoing {
    copy.properties.set(DUE, ApplicationValue::I64(at.as_millisecond()));
    copy
}

/// The copy with the target that it is for, where several take what is sent.
#[must_use]
pub(crate) fn addressed(mut copy: Outgoing, target: Option<&TargetName>) -> Outgoing {
    if let Some(target) = target {
        copy.properties.set(FOR_TARGET, ApplicationValue::from(target.as_str()));
    }
    copy
}

/// The copy of a dead letter that a replay puts back. `None` if its body cannot be carried along.
///
/// Of what stood beside its original's failure only the reason is kept. The count of returns goes on, because the
/// ids of later copies are made of it.
#[must_use]
pub(crate) fn replayed(message: &Message, replay: Uuid, now: Timestamp) -> Option<Outgoing> {
    // The same for every try of one run, so that a queue that detects duplicates takes only one of them; another
    // one for every run, or the queue would drop what was put back before.
    outgoing(message, put_back(message, replay, now), &format!("replay/{replay}/{}", message.sequence))
}

/// The copy of a message that is set aside until somebody has decided about it. `None` if its body cannot be carried along.
#[must_use]
pub(crate) fn held_aside(message: &Message, held: &HeldAside, now: Timestamp) -> Option<Outgoing> {
    let mut copy = copy(message, now, None)?;
    for (name, value) in held.properties() {
        copy.properties.set(name, value);
    }
    Some(copy)
}

/// The copy of a message that was held aside and is let through, and with it whatever else comes of these streams. Like what
/// a replay puts back it waits for what happens now. `None` if its body cannot be carried along.
#[must_use]
pub(crate) fn approved(
    message: &Message,
    run: Uuid,
    (author, streams): (Author, &[Stream]),
    now: Timestamp,
) -> Option<Outgoing> {
    let mut properties = put_back(message, run, now);
    properties.set(APPROVED, aside::written(author, streams));
    // The same for every run: one that goes on after a kill sends again what it had not taken back yet.
    outgoing(message, properties, &format!("approved/{}", message.sequence))
}

/// The properties of a message that a run puts back.
fn put_back(message: &Message, run: Uuid, now: Timestamp) -> ApplicationProperties {
    let mut properties = remembered(message, now);
    // Due at once: if it becomes a dead letter again, and a tool sends it again, that shows by how late it is.
    properties.set(DUE, ApplicationValue::I64(now.as_millisecond()));
    without_failure(&mut properties);
    let generation = DeliveryHistory::of(message).generation + 1;
    properties.set(REPLAYS, ApplicationValue::I64(i64::from(generation)));
    properties.set(REPLAY_ID, ApplicationValue::from(&*run.to_string()));
    properties.set(REPLAYED_AT, ApplicationValue::I64(now.as_millisecond()));
    properties.set(REPLAYED_SEQUENCE, ApplicationValue::I64(message.sequence.0));
    properties
}

/// A change that nobody posted at its time, as the message of this number of a run. It waits for what happens now, as what a
/// replay puts back does, and is recognized as such.
#[must_use]
pub(crate) fn posted(mut message: Outgoing, run: Uuid, number: SequenceNumber, now: Timestamp) -> Outgoing {
    let at = ApplicationValue::I64(now.as_millisecond());
    for (name, value) in [
        (DUE, at.clone()),
        (REPLAYS, ApplicationValue::I64(1)),
        (REPLAY_ID, ApplicationValue::from(&*run.to_string())),
        (REPLAYED_AT, at),
        (REPLAYED_SEQUENCE, ApplicationValue::I64(number.0)),
    ] {
        message.properties.set(name, value);
    }
    let name = [format!("reconcile/{run}/{number}/").as_bytes(), &message.body].concat();
    message.message_id = Some(Uuid::new_v5(&COPIES, &name).to_string().into());
    message
}

/// Takes off what stands there about the failure, all but its reason and that there was one.
fn without_failure(properties: &mut ApplicationProperties) {
    let reason = properties.remove(DEAD_LETTER_REASON);
    properties.set(FROM_DEAD_LETTER, ApplicationValue::Bool(true));
    for failure in [DEAD_LETTER_DESCRIPTION, CODE, TARGET, CONTACT, USER, JOB] {
        properties.remove(failure);
    }
    if let Some(ApplicationValue::Text(reason)) = reason {
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        properties.set(REPLAYED_REASON, ApplicationValue::from(&*reason));
    }
}

/// The properties with what a copy has to remember of its original, as it was believed.
///
/// A dead letter has its number from the dead-letter queue. That is never above the one it had in the queue itself,
/// so a replayed change is at worst taken for older than another one of the same version, never for newer.
fn remembered(message: &Message, now: Timestamp) -> ApplicationProperties {
    let past = DeliveryHistory::of(message);
    let mut properties = message.properties.clone();
    // What a failure left, or a sender put there.
    for name in [CODE, TARGET, CONTACT, USER, JOB, REPLAYS, REPLAYED_AT, HELD_SINCE, HELD_FOR] {
        properties.remove(name);
    }
    if past.urgency == Priority::Live {
        for name in [REPLAY_ID, REPLAYED_SEQUENCE, REPLAYED_REASON, APPROVED] {
            properties.remove(name);
        }
    } else if properties.get(APPROVED).is_some() {
        // It stays let through. What else comes of its streams is let through by its first copy alone.
        properties.set(APPROVED, ApplicationValue::from(""));
    }
    if past.generation > 0 {
        properties.set(REPLAYS, ApplicationValue::I64(i64::from(past.generation)));
    }
    // Of a replayed message always: without it, its age would begin anew with every copy.
    let told = past.urgency == Priority::Replayed || past.since != past.first_seen;
    if let (Some(since), true) = (past.since, told) {
        properties.set(REPLAYED_AT, ApplicationValue::I64(since.as_millisecond()));
    }
    properties.set(FIRST_SEEN, ApplicationValue::I64(past.first_seen.unwrap_or(now).as_millisecond()));
    properties.set(SEQUENCE, ApplicationValue::I64(past.arrival.0));
    properties.set(ORIGINAL_ID, ApplicationValue::from(&*original(message)));
    properties
}

fn outgoing(message: &Message, properties: ApplicationProperties, id: &str) -> Option<Outgoing> {
    let body = message.body.as_ref().ok()?.clone();
    let name = [id.as_bytes(), b"/", &body].concat();
    Some(Outgoing {
        message_id: Some(Uuid::new_v5(&COPIES, &name).to_string().into()),
        correlation_id: message.correlation_id.clone(),
        content_type: message.content_type.clone(),
        subject: message.subject.clone(),
        session_id: message.session_id.clone(),
        properties,
        body,
    })
}

#[cfg(test)]
mod tests;
