//! Copies that take the place of a message: handed back for later, or put back from the dead letters. A copy is
//! confirmed before its original is completed.
//!
//! The copy never travels under the original's message-id: with duplicate detection the queue would accept
//! and silently drop it, and completing the original would then lose the change. It carries what is needed
//! to treat it like the original: how often it came back, when it was first seen, and its place in the order.
//!
//! Whoever may send can write all of this into a message. So it is believed within bounds, and what a copy carries on is
//! what was believed, never what was read. What is left to gain by a forged past is to be tried less long, later or
//! with less patience, which the sender can have more cheaply by not sending; nobody else's message is touched:
//!
//! * a time that is after the message itself reached the queue counts as that time, so that no message is tried for
//!   ever; one from more than a year before it, or on a message that never came back, is none;
//! * counts are counts, far from where they would run over;
//! * the number of somebody else's message does not make it the same message, as the body counts as well, for
//!   [`Lineage`] and for the id of the copy: with detection of duplicates the queue would otherwise drop the copy of
//!   the one for that of the other.

use jiff::{SignedDuration, Timestamp};
use shared::{engine::Lineage, ids::SequenceNumber, urgency::Urgency};
use uuid::Uuid;

use crate::bus::{CODE, Message, Outgoing, Properties, Property, TARGET};

/// How often the message has come back.
const ATTEMPT: &str = "contactsync-attempt";
/// When its original reached the queue, in milliseconds since 1970.
const FIRST_SEEN: &str = "contactsync-first-seen";
/// Sequence number of its original.
const SEQUENCE: &str = "contactsync-sequence";
/// Message-id of its original.
const ORIGINAL_ID: &str = "contactsync-original-id";
/// When the copy was to reach the queue, in milliseconds since 1970.
const DUE: &str = "contactsync-due";
/// Which run of `replay` put the message back.
pub const REPLAY_ID: &str = "contactsync-replay-id";
/// When it was put back, in milliseconds since 1970.
pub const REPLAYED_AT: &str = "contactsync-replayed-at";
/// How often it was put back.
const REPLAYS: &str = "contactsync-replays";
/// Its number among the dead letters, by which a replay recognizes what it put back.
const REPLAYED_SEQUENCE: &str = "contactsync-replayed-sequence";
/// Why it was among them.
const REPLAYED_REASON: &str = "contactsync-replayed-reason";

/// Why a message is a dead letter, by Service Bus's name.
pub const DEAD_LETTER_REASON: &str = "DeadLetterReason";
/// What happened to it.
pub const DEAD_LETTER_DESCRIPTION: &str = "DeadLetterErrorDescription";

/// A copy that reached the queue so much later than it was due was sent again by somebody.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Returns and replays that are believed. Nothing comes back as often as that.
const MOST: u32 = 1 << 20;
/// How long before it reached the queue a message may have been seen first.
const LONGEST_WAY: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Longest reason that is carried on, in characters: as a rule it is one word.
const LONGEST_REASON: usize = 128;

/// Makes ids of copies: version-5 GUIDs in a space of our own.
const COPIES: Uuid = Uuid::from_u128(0x7b0b_3c5e_2f51_4d0e_9a35_c0f1_6d3a_9b21);

/// What a message tells about its own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// How often it came back; 0 for an original.
    pub attempt: u32,
    /// How often it was put back from the dead letters.
    pub generation: u32,
    /// When its original reached the queue.
    pub first_seen: Option<Timestamp>,
    /// From when its age counts: what was put back is as patiently tried as if it were new.
    pub since: Option<Timestamp>,
    /// Its original's place in the order of the queue.
    pub arrival: SequenceNumber,
    /// Whether it was put back from the dead letters.
    pub urgency: Urgency,
}

impl Past {
    /// Reads it. Properties that are not ours, or damaged, count as absent.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let count = |name| {
            let count = number(message, name).and_then(|count| u32::try_from(count).ok());
            count.filter(|count| *count <= MOST).unwrap_or(0)
        };
        let (attempt, generation) = (count(ATTEMPT), count(REPLAYS));
        // What never came back has no past but its own.
        let came_back = attempt > 0 || generation > 0;
        let time =
            |name| time(message, name).filter(|_| came_back).and_then(|at| believed(at, message.enqueued));
        let first_seen = time(FIRST_SEEN).or(message.enqueued);
        let replayed = came_back && replay_of(message).is_some();
        let since = match time(REPLAYED_AT) {
            _ if shows_failure(message) => message.enqueued,
            Some(at) => Some(at),
            None if replayed => message.enqueued,
            None => first_seen,
        };
        let origin = number(message, SEQUENCE).filter(|number| came_back && *number >= 0);
        Self {
            attempt,
            generation,
            first_seen,
            since,
            arrival: origin.map_or(message.sequence, SequenceNumber),
            urgency: if replayed { Urgency::Replayed } else { Urgency::Live },
        }
    }

    /// Its original, and which of the messages that stand for it this is.
    #[must_use]
    pub fn lineage(&self, message: &Message) -> Lineage {
        Lineage {
            origin: self.arrival,
            generation: self.generation,
            attempt: self.attempt,
            content: message.body.as_ref().map_or(0, |body| Lineage::content_of(body)),
        }
    }

    /// The same for a message that has been received now: also one that was sent again by a tool which takes off
    /// why it was a dead letter is as patiently tried as if it were new.
    #[must_use]
    pub fn at(message: &Message, now: Timestamp) -> Self {
        let past = Self::of(message);
        if is_late(message, now) { Self { since: message.enqueued, ..past } } else { past }
    }
}

/// A time that a message tells, as far as it can be so. Nothing was seen or put back after its copy reached the queue.
fn believed(at: Timestamp, enqueued: Option<Timestamp>) -> Option<Timestamp> {
    let Some(enqueued) = enqueued else { return Some(at) };
    (enqueued.duration_since(at) <= LONGEST_WAY).then(|| at.min(enqueued))
}

/// The run of `replay` that put a message back, if it can have been one.
fn replay_of(message: &Message) -> Option<Uuid> {
    let text = message.properties.text(REPLAY_ID)?;
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}

/// Whether a message carries why it was a dead letter. In the queue itself that shows that somebody sent it again
/// by hand: most tools copy all properties.
fn shows_failure(message: &Message) -> bool {
    [DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION].iter().any(|name| message.properties.get(name).is_some())
}

/// Whether a copy reached the queue much later than it was due.
///
/// Our clock set the time and Service Bus's clock tells when it came. So that a clock of ours that is behind does not
/// make every copy late, and its message immortal, it has to be late by our clock as well.
fn is_late(message: &Message, now: Timestamp) -> bool {
    let limit = time(message, DUE).and_then(|due| due.checked_add(LATE).ok());
    limit.is_some_and(|limit| message.enqueued.is_some_and(|at| at > limit) && now > limit)
}

/// The copy of a message that comes back. `None` if its body cannot be carried along.
#[must_use]
pub fn copy(message: &Message, now: Timestamp) -> Option<Outgoing> {
    let (past, original) = (Past::at(message, now), original(message));
    let attempt = past.attempt + 1;
    let mut properties = remembered(message, now);
    properties.set(ATTEMPT, Property::I64(i64::from(attempt)));
    properties.remove(DUE);
    if shows_failure(message) || is_late(message, now) {
        // As if a replay had put it back when it was sent again.
        without_failure(&mut properties);
        properties.set(REPLAYED_AT, Property::I64(past.since.unwrap_or(now).as_millisecond()));
    }
    // The same copy made twice, by two replicas say, gets the same id, and so is one copy to a queue that
    // detects duplicates. A dead letter that is sent again begins a new row of ids, or the queue would drop its
    // copies for those of its first life.
    let life = match properties.get(REPLAYED_AT) {
        Some(Property::I64(at)) => format!("/{at}"),
        _ => String::new(),
    };
    outgoing(message, properties, &format!("{original}/{}/{attempt}{life}", past.arrival))
}

/// The copy with the time at which the queue shall show it.
#[must_use]
pub fn due(mut copy: Outgoing, at: Timestamp) -> Outgoing {
    copy.properties.set(DUE, Property::I64(at.as_millisecond()));
    copy
}

/// The copy of a dead letter that a replay puts back. `None` if its body cannot be carried along.
///
/// Of what stood beside its original's failure only the reason is kept. The count of returns goes on, because the
/// ids of later copies are made of it.
#[must_use]
pub fn replayed(message: &Message, replay: Uuid, now: Timestamp) -> Option<Outgoing> {
    let mut properties = remembered(message, now);
    // Due at once: if it becomes a dead letter again, and a tool sends it again, that shows by how late it is.
    properties.set(DUE, Property::I64(now.as_millisecond()));
    without_failure(&mut properties);
    let generation = Past::of(message).generation + 1;
    properties.set(REPLAYS, Property::I64(i64::from(generation)));
    properties.set(REPLAY_ID, Property::from(&*replay.to_string()));
    properties.set(REPLAYED_AT, Property::I64(now.as_millisecond()));
    properties.set(REPLAYED_SEQUENCE, Property::I64(message.sequence.0));
    // The same for every try of one run, so that a queue that detects duplicates takes only one of them; another
    // one for every run, or the queue would drop what was put back before.
    outgoing(message, properties, &format!("replay/{replay}/{}", message.sequence))
}

/// Takes off what stands there about the failure, all but its reason.
fn without_failure(properties: &mut Properties) {
    let reason = properties.remove(DEAD_LETTER_REASON);
    for failure in [DEAD_LETTER_DESCRIPTION, CODE, TARGET] {
        properties.remove(failure);
    }
    if let Some(Property::Text(reason)) = reason {
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        properties.set(REPLAYED_REASON, Property::from(&*reason));
    }
}

/// If this run put the message back: its number among the dead letters at that time.
#[must_use]
pub fn replayed_by(message: &Message, replay: Uuid) -> Option<SequenceNumber> {
    let ours = replay_of(message)? == replay;
    number(message, REPLAYED_SEQUENCE).filter(|_| ours).map(SequenceNumber)
}

fn number(message: &Message, name: &str) -> Option<i64> {
    match message.properties.get(name) {
        Some(Property::I64(number)) => Some(*number),
        Some(Property::I32(number)) => Some(i64::from(*number)),
        _ => None,
    }
}

fn time(message: &Message, name: &str) -> Option<Timestamp> {
    number(message, name).and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

/// Message-id of the original, or its number if it has none.
fn original(message: &Message) -> String {
    let past = Past::of(message);
    let of_original = (past.attempt > 0 || past.generation > 0).then(|| message.properties.text(ORIGINAL_ID));
    let id = of_original.flatten().or(message.message_id.as_deref());
    id.map_or_else(|| past.arrival.to_string(), str::to_owned)
}

/// The properties with what a copy has to remember of its original, as it was believed.
///
/// A dead letter has its number from the dead-letter queue. That is never above the one it had in the queue itself,
/// so a replayed change is at worst taken for older than another one of the same version, never for newer.
fn remembered(message: &Message, now: Timestamp) -> Properties {
    let past = Past::of(message);
    let mut properties = message.properties.clone();
    // What a failure left, or a sender put there.
    for name in [CODE, TARGET, REPLAYS, REPLAYED_AT] {
        properties.remove(name);
    }
    if past.urgency == Urgency::Live {
        for name in [REPLAY_ID, REPLAYED_SEQUENCE, REPLAYED_REASON] {
            properties.remove(name);
        }
    }
    if past.generation > 0 {
        properties.set(REPLAYS, Property::I64(i64::from(past.generation)));
    }
    // Of a replayed message always: without it, its age would begin anew with every copy.
    let told = past.urgency == Urgency::Replayed || past.since != past.first_seen;
    if let (Some(since), true) = (past.since, told) {
        properties.set(REPLAYED_AT, Property::I64(since.as_millisecond()));
    }
    properties.set(FIRST_SEEN, Property::I64(past.first_seen.unwrap_or(now).as_millisecond()));
    properties.set(SEQUENCE, Property::I64(past.arrival.0));
    properties.set(ORIGINAL_ID, Property::from(&*original(message)));
    properties
}

fn outgoing(message: &Message, properties: Properties, id: &str) -> Option<Outgoing> {
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
#[path = "returns_tests.rs"]
mod tests;
