//! The past of messages: carried by copies, told by tools that send again, forged by senders.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};
use shared::{ids::SequenceNumber, target::Addressee};

use super::*;
use crate::envelope::{history::MOST, is_for_another, replayed_by};

fn message() -> Message {
    Message {
        sequence: SequenceNumber(42),
        enqueued: Some(Timestamp::from_second(1_000).expect("small")),
        message_id: Some("m-1".into()),
        content_type: Some("application/json".into()),
        properties: [("who", ApplicationValue::from("dataverse"))].into_iter().collect(),
        body: Ok(Bytes::from_static(b"{}")),
        ..Message::default()
    }
}

/// The copy of a message that comes back to whoever takes it.
fn copy(message: &Message, now: Timestamp) -> Option<Outgoing> {
    super::copy(message, now, None)
}

fn name(text: &str) -> TargetName {
    TargetName::parse(text).expect("a name")
}

#[test]
fn copies_for_several_targets_are_told_apart_and_left_to_each() {
    let (now, targets) = (Timestamp::from_second(2_000).expect("small"), [name("b2c"), name("external-id")]);
    // Two subscriptions may give the same number to what was sent once.
    let copies =
        targets.each_ref().map(|target| super::copy(&message(), now, Some(target)).expect("has a body"));
    let plain = copy(&message(), now).expect("has a body");
    assert_ne!(copies[0].message_id, copies[1].message_id, "a topic that detects duplicates would drop one");
    assert!(copies.iter().all(|copy| copy.message_id != plain.message_id));
    let again = super::copy(&message(), now, Some(&targets[0])).expect("has a body");
    assert_eq!(again.message_id, copies[0].message_id, "deterministic");
    for (copy, own) in copies.into_iter().zip(&targets) {
        let message = delivered(copy, 50);
        for whoever in &targets {
            let others = targets.iter().filter(|other| *other != whoever).cloned().collect();
            let addressee = Addressee { own: whoever.clone(), others };
            assert_eq!(is_for_another(&message, Some(&addressee)), whoever != own, "{whoever} gets {own}");
        }
        assert!(!is_for_another(&message, None), "nobody is left out where there is one target");
    }
    let put_back = addressed(replayed(&message(), Uuid::from_u128(7), now).expect("body"), Some(&targets[1]));
    assert_eq!(put_back.properties.text("contactsync-for-target"), Some("external-id"));
}

fn its_own() -> DeliveryHistory {
    let enqueued = message().enqueued;
    let (arrival, urgency) = (SequenceNumber(42), Priority::Live);
    DeliveryHistory {
        attempt: 0,
        generation: 0,
        first_seen: enqueued,
        since: enqueued,
        arrival,
        urgency,
        may_be_old: false,
    }
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
    assert_eq!(DeliveryHistory::of(&delivered(second, 60)), DeliveryHistory { attempt: 2, ..its_own() });
}

#[test]
fn what_a_replay_puts_back_is_the_original_without_its_failure_and_with_an_id_of_its_own() {
    let (now, run) = (Timestamp::from_second(2_000).expect("small"), Uuid::from_u128(7));
    let mut dead = delivered(copy(&message(), now).expect("has a body"), 5);
    for (name, text) in [(DEAD_LETTER_REASON, "Why"), (DEAD_LETTER_DESCRIPTION, "because"), (CODE, "c")] {
        dead.properties.set(name, ApplicationValue::from(text));
    }
    let put_back = replayed(&dead, run, now).expect("has a body");
    assert_eq!(replayed(&dead, run, now).expect("has a body").message_id, put_back.message_id);
    assert_ne!(replayed(&dead, Uuid::from_u128(8), now).expect("body").message_id, put_back.message_id);
    assert_ne!(put_back.message_id, dead.message_id);
    let properties = &put_back.properties;
    assert!([DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION, CODE].iter().all(|n| properties.get(n).is_none()));
    assert_eq!((properties.text(REPLAYED_REASON), properties.text(ORIGINAL_ID)), (Some("Why"), Some("m-1")));
    assert_eq!((properties.text("who"), &put_back.body), (Some("dataverse"), &Bytes::from_static(b"{}")));
    let again = delivered(put_back, 90);
    assert_eq!(
        DeliveryHistory::of(&again),
        DeliveryHistory {
            attempt: 1,
            generation: 1,
            may_be_old: true,
            since: Some(now),
            urgency: Priority::Replayed,
            ..its_own()
        }
    );
    assert_eq!(replayed_by(&again, run), Some(SequenceNumber(5)));
    assert_eq!((replayed_by(&again, Uuid::from_u128(8)), replayed_by(&dead, run)), (None, None));
    let twice = replayed(&delivered(replayed(&again, run, now).expect("body"), 91), run, now).expect("body");
    assert_eq!(twice.properties.get(REPLAYS), Some(&ApplicationValue::I64(3)));
}

#[test]
fn an_original_is_its_own_past() {
    assert_eq!(DeliveryHistory::of(&message()), its_own());
}

#[test]
fn what_was_put_back_can_wait_and_its_age_counts_from_then_also_when_it_comes_back() {
    let mut replayed = Message { enqueued: at(6_000).into(), ..message() };
    for (name, value) in [
        (REPLAY_ID, run()),
        (REPLAYS, ApplicationValue::I64(1)),
        (REPLAYED_AT, ApplicationValue::I64(5_000_000)),
    ] {
        replayed.properties.set(name, value);
    }
    let (since, first_seen) = (Some(at(5_000)), Some(at(6_000)));
    let past = DeliveryHistory { since, first_seen, generation: 1, urgency: Priority::Replayed, ..its_own() };
    assert_eq!(DeliveryHistory::of(&replayed), past);
    let copy = copy(&replayed, at(6_000)).expect("has a body");
    assert_eq!(DeliveryHistory::of(&delivered(copy, 50)), DeliveryHistory { attempt: 1, ..past });
}

/// The name of a run of replay.
fn run() -> ApplicationValue {
    ApplicationValue::from(&*Uuid::from_u128(7).to_string())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("small")
}

/// A copy of a change of second 1,000 that was due at second 2,000, with these properties besides.
fn returned(enqueued: i64, properties: &[(&str, ApplicationValue)]) -> Message {
    let copy = due(copy(&message(), at(1_900)).expect("has a body"), at(2_000));
    let mut message = Message { enqueued: Some(at(enqueued)), ..delivered(copy, 50) };
    for (name, value) in properties {
        message.properties.set(*name, value.clone());
    }
    message
}

#[test]
fn what_was_sent_again_by_hand_counts_from_then_and_so_do_its_copies() {
    let why = [(DEAD_LETTER_REASON, ApplicationValue::from("RetryBudgetExhausted"))];
    let text = [(DEAD_LETTER_DESCRIPTION, ApplicationValue::from("tried for a day"))];
    let replay = [(REPLAY_ID, run()), (REPLAYED_AT, ApplicationValue::I64(1_500_000))];
    let replay_with_reason = [&replay[..], &why].concat();
    // What it carries; when it reached the queue, when we look at it, and from when it counts.
    let table: [(&str, &[_], [i64; 3]); 9] = [
        ("a copy of ours in its time", &[], [2_000, 2_001, 1_000]),
        ("with the reason", &why, [90_000, 90_001, 90_000]),
        ("with the text alone", &text, [90_000, 90_001, 90_000]),
        ("with the reason, at once", &why, [2_010, 2_011, 2_010]),
        ("of a replay, with the reason", &replay_with_reason, [90_000, 90_001, 90_000]),
        ("of a replay, in its time", &replay, [2_000, 2_001, 1_500]),
        ("without the reason, late", &[], [90_000, 90_001, 90_000]),
        ("held up by the service for a while", &[], [2_299, 90_000, 1_000]),
        ("while our clock is behind", &[], [90_000, 2_001, 1_000]),
    ];
    for (what, properties, [enqueued, now, since]) in table {
        let message = returned(enqueued, properties);
        let past = DeliveryHistory::at(&message, at(now));
        assert_eq!(past.since, Some(at(since)), "{what}");
        assert_eq!((past.attempt, past.first_seen, past.arrival), (1, Some(at(1_000)), SequenceNumber(42)));
        let copy = due(copy(&message, at(now)).expect("has a body"), at(now + 60));
        for name in [DEAD_LETTER_REASON, DEAD_LETTER_DESCRIPTION] {
            assert_eq!(copy.properties.get(name), None, "{what}");
        }
        let again = DeliveryHistory::at(
            &Message { enqueued: Some(at(now + 60)), ..delivered(copy, 60) },
            at(now + 61),
        );
        assert_eq!((again.since, again.attempt), (Some(at(since)), 2), "{what}");
    }
}

#[test]
fn what_a_replay_put_back_and_a_tool_sent_again_counts_from_the_last_of_them() {
    let put_back = replayed(&returned(2_000, &[]), Uuid::from_u128(7), at(5_000)).expect("has a body");
    for (enqueued, since) in [(5_000, 5_000), (5_100, 5_000), (90_000, 90_000)] {
        let sent = Message { enqueued: Some(at(enqueued)), ..delivered(put_back.clone(), 70) };
        assert_eq!(DeliveryHistory::at(&sent, at(enqueued + 1)).since, Some(at(since)));
    }
}

#[test]
fn copies_of_what_was_sent_again_twice_are_not_taken_for_each_other() {
    let sent = |enqueued| returned(enqueued, &[(DEAD_LETTER_REASON, ApplicationValue::from("Why"))]);
    let id = |message: &Message| copy(message, at(99_000)).expect("has a body").message_id;
    let ids = [id(&returned(2_000, &[])), id(&sent(50_000)), id(&sent(60_000))];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert_eq!(id(&sent(50_000)), ids[1]);
}

#[test]
fn properties_that_somebody_else_filled_with_nonsense_are_ignored() {
    let mut strange = message();
    strange.properties.set(ATTEMPT, ApplicationValue::from("many"));
    strange.properties.set(FIRST_SEEN, ApplicationValue::I64(i64::MAX));
    assert_eq!(DeliveryHistory::of(&strange), DeliveryHistory::of(&message()));
}

#[test]
fn a_forged_past_is_believed_within_bounds() {
    let (hour, enqueued) = (3_600, 100_000_000);
    let of = |properties: &[(&str, ApplicationValue)]| {
        let properties = properties.iter().map(|(name, value)| (*name, value.clone())).collect();
        DeliveryHistory::of(&Message { enqueued: Some(at(enqueued)), properties, ..message() })
    };
    let own = of(&[]);
    let millis = |second: i64| ApplicationValue::I64(second * 1_000);
    let once = (ATTEMPT, ApplicationValue::I64(1));
    let (replays, number) = ((REPLAYS, ApplicationValue::I64(1)), (SEQUENCE, ApplicationValue::I64(7)));
    let returned = DeliveryHistory { attempt: 1, ..own };
    // What a sender has written, and what is believed of it.
    let table: [(&str, Vec<_>, DeliveryHistory); 12] = [
        ("first seen in the future", vec![once.clone(), (FIRST_SEEN, millis(enqueued + 9 * hour))], returned),
        (
            "first seen before",
            vec![once.clone(), (FIRST_SEEN, millis(enqueued - hour))],
            DeliveryHistory {
                first_seen: Some(at(enqueued - hour)),
                since: Some(at(enqueued - hour)),
                ..returned
            },
        ),
        ("first seen in another age", vec![once.clone(), (FIRST_SEEN, millis(1))], returned),
        ("first seen before, and never come back", vec![(FIRST_SEEN, millis(enqueued - hour))], own),
        (
            "put back in the future",
            vec![replays.clone(), (REPLAY_ID, run()), (REPLAYED_AT, millis(enqueued + 9 * hour))],
            DeliveryHistory { generation: 1, urgency: Priority::Replayed, ..own },
        ),
        ("put back by nobody", vec![(REPLAY_ID, run()), (REPLAYED_AT, millis(enqueued - hour))], own),
        (
            "put back by what is no run",
            vec![replays.clone(), (REPLAY_ID, ApplicationValue::from("a run\x1b[2J"))],
            DeliveryHistory { generation: 1, ..own },
        ),
        (
            "come back more often than can be",
            vec![(ATTEMPT, ApplicationValue::I64(i64::from(u32::MAX)))],
            own,
        ),
        (
            "come back less than never",
            vec![(ATTEMPT, ApplicationValue::I64(-1)), (REPLAYS, ApplicationValue::I64(-1))],
            own,
        ),
        ("the number of another", vec![number.clone()], own),
        ("no number", vec![once.clone(), (SEQUENCE, ApplicationValue::I64(-7))], returned),
        (
            "the number of another, come back",
            vec![once, number],
            DeliveryHistory { arrival: SequenceNumber(7), ..returned },
        ),
    ];
    for (what, properties, expected) in table {
        assert_eq!(of(&properties), expected, "{what}");
    }
}

#[test]
fn who_takes_the_number_of_another_message_does_not_become_it() {
    let honest = message();
    let mut forged =
        Message { sequence: SequenceNumber(99), body: Ok(Bytes::from_static(b"{ }")), ..message() };
    let copied = copy(&honest, at(2_000)).expect("has a body");
    for (name, value) in copied.properties.iter() {
        forged.properties.set(name, value.clone());
    }
    forged.properties.set(ATTEMPT, ApplicationValue::I64(5));
    let lineage = |message: &Message| DeliveryHistory::of(message).lineage(message);
    assert_eq!(lineage(&forged).origin, lineage(&honest).origin);
    assert_ne!(lineage(&forged).content, lineage(&honest).content);
    assert_eq!(lineage(&delivered(copied.clone(), 50)).content, lineage(&honest).content);
    // Not even where it also claims to be the message that the copy is made of.
    forged.properties.set(ATTEMPT, ApplicationValue::I64(0));
    assert_ne!(copy(&forged, at(2_000)).expect("has a body").message_id, copied.message_id);
}

#[test]
fn what_the_sender_says_of_a_failure_is_not_carried_on() {
    let mut forged = message();
    for name in [CODE, TARGET, REPLAY_ID, REPLAYED_SEQUENCE, REPLAYED_REASON, REPLAYED_AT, REPLAYS] {
        forged.properties.set(name, ApplicationValue::from("forged"));
    }
    let copy = copy(&forged, at(2_000)).expect("has a body");
    let names: Vec<_> = copy.properties.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["who", FIRST_SEEN, SEQUENCE, ORIGINAL_ID, ATTEMPT]);
}

#[test]
fn a_replay_that_does_not_say_when_makes_no_message_younger_with_every_copy() {
    let mut forged = message();
    forged.properties.set(REPLAY_ID, run());
    forged.properties.set(REPLAYS, ApplicationValue::I64(1));
    let since = DeliveryHistory::of(&forged).since;
    let copied = delivered(copy(&forged, at(2_000)).expect("has a body"), 50);
    let later = Message { enqueued: Some(at(9_000)), ..copied };
    assert_eq!(DeliveryHistory::of(&later).since, since);
}

fn any_mark() -> impl Strategy<Value = (&'static str, ApplicationValue)> {
    let names = [
        ATTEMPT,
        FIRST_SEEN,
        SEQUENCE,
        ORIGINAL_ID,
        DUE,
        REPLAY_ID,
        REPLAYED_AT,
        REPLAYS,
        REPLAYED_SEQUENCE,
        REPLAYED_REASON,
        DEAD_LETTER_REASON,
        DEAD_LETTER_DESCRIPTION,
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(ApplicationValue::I64),
        (0_i64..5).prop_map(ApplicationValue::I64),
        (0_i64..400_000).prop_map(|second| ApplicationValue::I64(second * 1_000)),
        any::<i32>().prop_map(ApplicationValue::I32),
        Just(run()),
        any::<String>().prop_map(|text| ApplicationValue::Text(text.into())),
        Just(ApplicationValue::Null),
    ];
    (select(names.to_vec()), value)
}

proptest! {
    /// Whatever a sender writes, its message is tried no longer than if it were new, and its copies no longer still.
    #[test]
    fn no_past_makes_a_message_younger(marks in vec(any_mark(), 0..8), steps in vec(1_i64..100_000, 1..6)) {
        let mut enqueued = 200_000;
        let mut message = Message { enqueued: Some(at(enqueued)), properties: marks.into_iter().collect(), ..message() };
        let mut before = DeliveryHistory::at(&message, at(enqueued));
        prop_assert!(before.since <= message.enqueued && before.first_seen <= message.enqueued);
        let mut ids = vec![message.message_id.clone()];
        for step in steps {
            let copied = copy(&message, at(enqueued)).expect("has a body");
            ids.push(copied.message_id.clone());
            enqueued += step;
            message = Message { enqueued: Some(at(enqueued)), ..delivered(due(copied, at(enqueued)), 50) };
            let past = DeliveryHistory::at(&message, at(enqueued));
            prop_assert_eq!((past.since, past.first_seen, past.arrival), (before.since, before.first_seen, before.arrival));
            prop_assert!(past.attempt == before.attempt + 1 || before.attempt == MOST, "{:?}", past);
            before = past;
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "no copy travels under the id of another");
    }
}
