//! What a message tells about its own past.

use jiff::{SignedDuration, Timestamp};
use servicebus::{ApplicationValue, Message};
use shared::{engine::Lineage, ids::SequenceNumber, priority::Priority, target::Addressee};
use uuid::Uuid;

use super::{
    ATTEMPT, DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, DUE, FIRST_SEEN, FOR_TARGET, FROM_DEAD_LETTER,
    ORIGINAL_ID, REPLAY_ID, REPLAYED_AT, REPLAYED_SEQUENCE, REPLAYS, SEQUENCE,
};

/// A copy that reached the queue so much later than it was due was sent again by somebody.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Returns and replays that are believed. Nothing comes back as often as that.
pub(super) const MOST: u32 = 1 << 20;
/// How long before it reached the queue a message may have been seen first.
const LONGEST_WAY: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What a message tells about its own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryHistory {
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
    pub urgency: Priority,
    /// Whether it was a dead letter, so that its values may have been overtaken while nobody kept order.
    pub may_be_old: bool,
}

impl DeliveryHistory {
    /// Reads it. Properties that are not ours, or damaged, count as absent.
    #[must_use]
    pub(crate) fn of(message: &Message) -> Self {
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
            urgency: if replayed { Priority::Replayed } else { Priority::Live },
            may_be_old: shows_failure(message) || message.properties.get(FROM_DEAD_LETTER).is_some(),
        }
    }

    /// Its original, and which of the messages that stand for it this is.
    #[must_use]
    pub(crate) fn lineage(&self, message: &Message) -> Lineage {
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
    pub(crate) fn at(message: &Message, now: Timestamp) -> Self {
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
pub(super) fn replay_of(message: &Message) -> Option<Uuid> {
    let text = message.properties.text(REPLAY_ID)?;
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}

/// Whether a message carries why it was a dead letter. In the queue itself that shows that somebody sent it again
/// by hand: most tools copy all properties.
pub(super) fn shows_failure(message: &Message) -> bool {
    [DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION].iter().any(|name| message.properties.get(name).is_some())
}

/// Whether a copy reached the queue much later than it was due.
///
/// Our clock set the time and Service Bus's clock tells when it came. So that a clock of ours that is behind does not
/// make every copy late, and its message immortal, it has to be late by our clock as well.
pub(super) fn is_late(message: &Message, now: Timestamp) -> bool {
    let limit = time(message, DUE).and_then(|due| due.checked_add(LATE).ok());
    limit.is_some_and(|limit| message.enqueued.is_some_and(|at| at > limit) && now > limit)
}

/// Whether a message names another target than whoever asks.
#[must_use]
pub(crate) fn is_for_another(message: &Message, addressee: Option<&Addressee>) -> bool {
    let named = addressee.zip(message.properties.text(FOR_TARGET));
    named.is_some_and(|(addressee, named)| addressee.leaves_to_another(named))
}

/// If this run put the message back: its number among the dead letters at that time.
#[must_use]
pub(crate) fn replayed_by(message: &Message, replay: Uuid) -> Option<SequenceNumber> {
    let ours = replay_of(message)? == replay;
    number(message, REPLAYED_SEQUENCE).filter(|_| ours).map(SequenceNumber)
}

fn number(message: &Message, name: &str) -> Option<i64> {
    match message.properties.get(name) {
        Some(ApplicationValue::I64(number)) => Some(*number),
        Some(ApplicationValue::I32(number)) => Some(i64::from(*number)),
        _ => None,
    }
}

pub(super) fn time(message: &Message, name: &str) -> Option<Timestamp> {
    number(message, name).and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

/// Message-id of the original, or its number if it has none.
pub(super) fn original(message: &Message) -> String {
    let past = DeliveryHistory::of(message);
    let of_original = (past.attempt > 0 || past.generation > 0).then(|| message.properties.text(ORIGINAL_ID));
    let id = of_original.flatten().or(message.message_id.as_deref());
    id.map_or_else(|| past.arrival.to_string(), str::to_owned)
}
