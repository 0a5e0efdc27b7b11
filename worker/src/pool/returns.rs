//! Copies that take the place of a message: handed back for later, or put back from the dead letters. A copy is
//! confirmed before its original is completed.
//!
//! The copy never travels under the original's message-id: with duplicate detection the queue would accept
//! and silently drop it, and completing the original would then lose the change. It carries what is needed
//! to treat it like the original: how often it came back, when it was first seen, and its place in the order.

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
        let number = |name| number(message, name);
        let count = |name| number(name).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let first_seen = time(message, FIRST_SEEN).or(message.enqueued);
        let replayed = message.properties.text(REPLAY_ID).is_some();
        let since = match time(message, REPLAYED_AT) {
            _ if shows_failure(message) => message.enqueued,
            Some(at) => Some(at),
            None if replayed => message.enqueued,
            None => first_seen,
        };
        Self {
            attempt: count(ATTEMPT),
            generation: count(REPLAYS),
            first_seen,
            since,
            arrival: number(SEQUENCE).map_or(message.sequence, SequenceNumber),
            urgency: if replayed { Urgency::Replayed } else { Urgency::Live },
        }
    }

    /// Its original, and which of the messages that stand for it this is.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        Lineage { origin: self.arrival, generation: self.generation, attempt: self.attempt }
    }

    /// The same for a message that has been received now: also one that was sent again by a tool which takes off
    /// why it was a dead letter is as patiently tried as if it were new.
    #[must_use]
    pub fn at(message: &Message, now: Timestamp) -> Self {
        let past = Self::of(message);
        if is_late(message, now) { Self { since: message.enqueued, ..past } } else { past }
    }
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
    let attempt = past.attempt.saturating_add(1);
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
    let replays = number(message, REPLAYS).unwrap_or(0).saturating_add(1);
    properties.set(REPLAYS, Property::I64(replays));
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
    if let Some(reason) = reason {
        properties.set(REPLAYED_REASON, reason);
    }
}

/// If this run put the message back: its number among the dead letters at that time.
#[must_use]
pub fn replayed_by(message: &Message, replay: Uuid) -> Option<SequenceNumber> {
    let ours = message.properties.text(REPLAY_ID)? == replay.to_string();
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
    let id = message.properties.text(ORIGINAL_ID).or(message.message_id.as_deref());
    id.map_or_else(|| Past::of(message).arrival.to_string(), str::to_owned)
}

/// The properties with what a copy has to remember of its original.
///
/// A dead letter has its number from the dead-letter queue. That is never above the one it had in the queue itself,
/// so a replayed change is at worst taken for older than another one of the same version, never for newer.
fn remembered(message: &Message, now: Timestamp) -> Properties {
    let past = Past::of(message);
    let mut properties = message.properties.clone();
    properties.set(FIRST_SEEN, Property::I64(past.first_seen.unwrap_or(now).as_millisecond()));
    properties.set(SEQUENCE, Property::I64(past.arrival.0));
    properties.set(ORIGINAL_ID, Property::from(&*original(message)));
    properties
}

fn outgoing(message: &Message, properties: Properties, id: &str) -> Option<Outgoing> {
    Some(Outgoing {
        message_id: Some(Uuid::new_v5(&COPIES, id.as_bytes()).to_string().into()),
        correlation_id: message.correlation_id.clone(),
        content_type: message.content_type.clone(),
        subject: message.subject.clone(),
        session_id: message.session_id.clone(),
        properties,
        body: message.body.as_ref().ok()?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message() -> Message {
        Message {
            sequence: SequenceNumber(42),
            enqueued: Some(Timestamp::from_second(1_000).expect("small")),
            message_id: Some("m-1".into()),
            content_type: Some("application/json".into()),
            properties: [("who", Property::from("dataverse"))].into_iter().collect(),
            body: Ok(Bytes::from_static(b"{}")),
            ..Message::default()
        }
    }

    fn its_own() -> Past {
        let enqueued = message().enqueued;
        let (arrival, urgency) = (SequenceNumber(42), Urgency::Live);
        Past { attempt: 0, generation: 0, first_seen: enqueued, since: enqueued, arrival, urgency }
    }

    /// What the queue makes of a copy.
    fn delivered(copy: Outgoing, sequence: i64) -> Message {
        Message {
            sequence: SequenceNumber(sequence),
            enqueued: Some(Timestamp::from_second(9_999).expect("small")),
            message_id: copy.message_id,
            content_type: copy.content_type,
            properties: copy.properties,
            body: Ok(copy.body),
            ..Message::default()
        }
    }

    #[test]
    fn a_copy_carries_everything_and_never_the_same_id() {
        let now = Timestamp::from_second(2_000).expect("small");
        let first = copy(&message(), now).expect("has a body");
        assert_eq!(first.body, Bytes::from_static(b"{}"));
        assert_eq!(first.content_type.as_deref(), Some("application/json"));
        assert_eq!(first.properties.text("who"), Some("dataverse"));
        let again = delivered(first.clone(), 50);
        let second = copy(&again, now).expect("has a body");
        let ids = [message().message_id, first.message_id.clone(), second.message_id.clone()];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(copy(&message(), now).expect("has a body").message_id, first.message_id, "deterministic");
        assert_eq!(Past::of(&delivered(second, 60)), Past { attempt: 2, ..its_own() });
    }

    #[test]
    fn what_a_replay_puts_back_is_the_original_without_its_failure_and_with_an_id_of_its_own() {
        let (now, run) = (Timestamp::from_second(2_000).expect("small"), Uuid::from_u128(7));
        let mut dead = delivered(copy(&message(), now).expect("has a body"), 5);
        for (name, text) in [(DEAD_LETTER_REASON, "Why"), (DEAD_LETTER_DESCRIPTION, "because"), (CODE, "c")] {
            dead.properties.set(name, Property::from(text));
        }
        let put_back = replayed(&dead, run, now).expect("has a body");
        assert_eq!(replayed(&dead, run, now).expect("has a body").message_id, put_back.message_id);
        assert_ne!(replayed(&dead, Uuid::from_u128(8), now).expect("body").message_id, put_back.message_id);
        assert_ne!(put_back.message_id, dead.message_id);
        let properties = &put_back.properties;
        assert!(
            [DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION, CODE].iter().all(|n| properties.get(n).is_none())
        );
        assert_eq!(
            (properties.text(REPLAYED_REASON), properties.text(ORIGINAL_ID)),
            (Some("Why"), Some("m-1"))
        );
        assert_eq!((properties.text("who"), &put_back.body), (Some("dataverse"), &Bytes::from_static(b"{}")));
        let again = delivered(put_back, 90);
        assert_eq!(
            Past::of(&again),
            Past { attempt: 1, generation: 1, since: Some(now), urgency: Urgency::Replayed, ..its_own() }
        );
        assert_eq!(replayed_by(&again, run), Some(SequenceNumber(5)));
        assert_eq!((replayed_by(&again, Uuid::from_u128(8)), replayed_by(&dead, run)), (None, None));
        let twice =
            replayed(&delivered(replayed(&again, run, now).expect("body"), 91), run, now).expect("body");
        assert_eq!(twice.properties.get(REPLAYS), Some(&Property::I64(3)));
    }

    #[test]
    fn an_original_is_its_own_past() {
        assert_eq!(Past::of(&message()), its_own());
    }

    #[test]
    fn what_was_put_back_can_wait_and_its_age_counts_from_then_also_when_it_comes_back() {
        let mut replayed = message();
        replayed.properties.set(REPLAY_ID, Property::from("r-1"));
        replayed.properties.set(REPLAYED_AT, Property::I64(5_000_000));
        let since = Timestamp::from_second(5_000).ok();
        let past = Past { since, urgency: Urgency::Replayed, ..its_own() };
        assert_eq!(Past::of(&replayed), past);
        let copy = copy(&replayed, Timestamp::from_second(6_000).expect("small")).expect("has a body");
        assert_eq!(Past::of(&delivered(copy, 50)), Past { attempt: 1, ..past });
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("small")
    }

    /// A copy of a change of second 1,000 that was due at second 2,000, with these properties besides.
    fn returned(enqueued: i64, properties: &[(&str, Property)]) -> Message {
        let copy = due(copy(&message(), at(1_900)).expect("has a body"), at(2_000));
        let mut message = Message { enqueued: Some(at(enqueued)), ..delivered(copy, 50) };
        for (name, value) in properties {
            message.properties.set(*name, value.clone());
        }
        message
    }

    #[test]
    fn what_was_sent_again_by_hand_counts_from_then_and_so_do_its_copies() {
        let why = [(DEAD_LETTER_REASON, Property::from("RetryBudgetExhausted"))];
        let text = [(DEAD_LETTER_DESCRIPTION, Property::from("tried for a day"))];
        let replay = [(REPLAY_ID, Property::from("r-1")), (REPLAYED_AT, Property::I64(5_000_000))];
        let replay_with_reason = [&replay[..], &why].concat();
        // What it carries; when it reached the queue, when we look at it, and from when it counts.
        let table: [(&str, &[_], [i64; 3]); 9] = [
            ("a copy of ours in its time", &[], [2_000, 2_001, 1_000]),
            ("with the reason", &why, [90_000, 90_001, 90_000]),
            ("with the text alone", &text, [90_000, 90_001, 90_000]),
            ("with the reason, at once", &why, [2_010, 2_011, 2_010]),
            ("of a replay, with the reason", &replay_with_reason, [90_000, 90_001, 90_000]),
            ("of a replay, in its time", &replay, [2_000, 2_001, 5_000]),
            ("without the reason, late", &[], [90_000, 90_001, 90_000]),
            ("held up by the service for a while", &[], [2_299, 90_000, 1_000]),
            ("while our clock is behind", &[], [90_000, 2_001, 1_000]),
        ];
        for (what, properties, [enqueued, now, since]) in table {
            let message = returned(enqueued, properties);
            let past = Past::at(&message, at(now));
            assert_eq!(past.since, Some(at(since)), "{what}");
            assert_eq!(
                (past.attempt, past.first_seen, past.arrival),
                (1, Some(at(1_000)), SequenceNumber(42))
            );
            let copy = due(copy(&message, at(now)).expect("has a body"), at(now + 60));
            for name in [DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION] {
                assert_eq!(copy.properties.get(name), None, "{what}");
            }
            let again =
                Past::at(&Message { enqueued: Some(at(now + 60)), ..delivered(copy, 60) }, at(now + 61));
            assert_eq!((again.since, again.attempt), (Some(at(since)), 2), "{what}");
        }
    }

    #[test]
    fn what_a_replay_put_back_and_a_tool_sent_again_counts_from_the_last_of_them() {
        let put_back = replayed(&returned(2_000, &[]), Uuid::from_u128(7), at(5_000)).expect("has a body");
        for (enqueued, since) in [(5_000, 5_000), (5_100, 5_000), (90_000, 90_000)] {
            let sent = Message { enqueued: Some(at(enqueued)), ..delivered(put_back.clone(), 70) };
            assert_eq!(Past::at(&sent, at(enqueued + 1)).since, Some(at(since)));
        }
    }

    #[test]
    fn copies_of_what_was_sent_again_twice_are_not_taken_for_each_other() {
        let sent = |enqueued| returned(enqueued, &[(DEAD_LETTER_REASON, Property::from("Why"))]);
        let id = |message: &Message| copy(message, at(99_000)).expect("has a body").message_id;
        let ids = [id(&returned(2_000, &[])), id(&sent(50_000)), id(&sent(60_000))];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(id(&sent(50_000)), ids[1]);
    }

    #[test]
    fn properties_that_somebody_else_filled_with_nonsense_are_ignored() {
        let mut strange = message();
        strange.properties.set(ATTEMPT, Property::from("many"));
        strange.properties.set(FIRST_SEEN, Property::I64(i64::MAX));
        assert_eq!(Past::of(&strange), Past::of(&message()));
    }
}
