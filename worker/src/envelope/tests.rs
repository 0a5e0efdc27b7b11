//! What is held aside, what stands on it, and what is left of that when it is let through.

use bytes::Bytes;
use jiff::Timestamp;
use servicebus::{ApplicationValue, Message, Outgoing, Peeked, PeekedState};
use shared::{
    ids::SequenceNumber,
    mass_change::{Author, ChangeKind, PriorDecision, Provenance, Stream},
    priority::Priority,
    property::Property,
};
use uuid::Uuid;

use super::*;

const WHO: Author = Author::User(Uuid::from_u128(7));
const RUN: Uuid = Uuid::from_u128(9);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn stream(name: &str, kind: ChangeKind) -> Stream {
    Stream { author: WHO, property: Property::named(name).expect("known"), kind }
}

fn streams() -> Box<[Stream]> {
    [stream("mail", ChangeKind::Blanked), stream("givenName", ChangeKind::Rewritten)].into()
}

fn original() -> Message {
    Message {
        sequence: SequenceNumber(42),
        enqueued: Some(at(1_000)),
        message_id: Some("m-1".into()),
        body: Ok(Bytes::from_static(b"{}")),
        ..Message::default()
    }
}

/// What the queue makes of a copy that reaches it then.
fn delivered(copy: Outgoing, sequence: i64, second: i64) -> Message {
    Message {
        sequence: SequenceNumber(sequence),
        enqueued: Some(at(second)),
        message_id: copy.message_id,
        properties: copy.properties,
        body: Ok(copy.body),
        ..Message::default()
    }
}

fn put_aside(message: &Message, second: i64) -> Outgoing {
    let held = HeldAside::now(message, &streams(), at(second));
    held_aside(message, &held, at(second)).expect("has a body")
}

fn standing(message: &Message) -> PriorDecision {
    provenance(message, None, at(9_999)).standing
}

#[test]
fn what_is_held_says_why_and_since_when_however_often_it_comes_again() {
    let first = put_aside(&original(), 2_000);
    let expected = HeldAside { since: at(2_000), author: WHO, streams: streams() };
    let message = delivered(first.clone(), 50, 90_000);
    assert_eq!(HeldAside::of(&message), Some(expected.clone()));
    assert_eq!(standing(&message), PriorDecision::HeldAside(streams()));
    let again = put_aside(&message, 90_001);
    assert_ne!(again.message_id, first.message_id, "a queue that detects duplicates would drop it");
    let again = delivered(again, 60, 180_000);
    assert_eq!(HeldAside::of(&again), Some(expected));
    let past = DeliveryHistory::of(&again);
    assert_eq!((past.attempt, past.first_seen, past.arrival), (2, Some(at(1_000)), SequenceNumber(42)));
}

#[test]
fn what_is_let_through_is_new_waits_for_what_happens_now_and_stays_let_through() {
    let held = delivered(put_aside(&original(), 2_000), 50, 90_000);
    let sent = approved(&held, RUN, (WHO, &streams()), at(95_000)).expect("has a body");
    let by_another_run =
        approved(&held, Uuid::from_u128(10), (WHO, &streams()), at(96_000)).expect("has a body");
    assert_eq!(
        sent.message_id, by_another_run.message_id,
        "sent twice, it is one where duplicates are detected"
    );
    assert_ne!(sent.message_id, held.message_id);
    let message = delivered(sent, 70, 95_001);
    assert_eq!(HeldAside::of(&message), None);
    assert_eq!(standing(&message), PriorDecision::Approved { at: at(95_001), streams: streams() });
    let past = DeliveryHistory::of(&message);
    assert_eq!((past.urgency, past.since, past.generation), (Priority::Replayed, Some(at(95_000)), 1));
    assert_eq!(past.arrival, SequenceNumber(42), "in its place among others");
    // It may come back later, or from the dead letters; the rest of its streams is let through by its first copy alone.
    let later = delivered(copy(&message, at(95_500), None).expect("has a body"), 80, 99_000);
    let streams = Box::default();
    assert_eq!(standing(&later), PriorDecision::Approved { at: at(99_000), streams });
    let put_back = delivered(replayed(&held, RUN, at(95_000)).expect("has a body"), 81, 99_000);
    assert_eq!(standing(&put_back), PriorDecision::New, "a replay decides nothing");
}

#[test]
fn only_what_came_back_can_be_held_or_let_through() {
    let mut forged = original();
    for (name, value) in [
        ("contactsync-held-since", ApplicationValue::I64(1)),
        ("contactsync-held-for", "user:x mail=blanked".into()),
        ("contactsync-approved", "unknown mail=blanked".into()),
    ] {
        forged.properties.set(name, value);
    }
    assert_eq!((HeldAside::of(&forged), standing(&forged)), (None, PriorDecision::New));
    let copied = delivered(copy(&forged, at(2_000), None).expect("has a body"), 50, 3_000);
    assert_eq!(standing(&copied), PriorDecision::New);
    // What nobody understands is held all the same, and shown.
    let mut unread = delivered(put_aside(&original(), 2_000), 50, 3_000);
    unread.properties.set("contactsync-held-for", "who knows=what,mail=blanked,mail=eaten".into());
    let held = HeldAside::of(&unread).expect("it is held");
    assert_eq!((held.author, held.streams.len()), (Author::Unknown, 1));
    unread.properties.remove("contactsync-held-for");
    assert_eq!(standing(&unread), PriorDecision::HeldAside(Box::default()));
}

#[test]
fn the_author_is_who_the_message_names_or_the_run_that_put_it_here() {
    let named = |message: &Message, id: u128| provenance(message, Some(Uuid::from_u128(id)), at(1)).author;
    assert_eq!(named(&original(), 7), WHO);
    assert_eq!(named(&original(), 0), Author::Unknown, "no id at all");
    let message = Outgoing { body: Bytes::from_static(b"{}"), ..Outgoing::default() };
    let run = delivered(posted(message, RUN, SequenceNumber(1), at(1)), 50, 2);
    assert_eq!(named(&run, 0), Author::Run(RUN));
    assert_eq!(provenance(&run, None, at(1)), Provenance::of(Author::Run(RUN)));
}

#[test]
fn what_waits_is_counted_by_stream() {
    let mut census = HeldCensus::default();
    for (sequence, second, state) in [
        (50, 2_000, PeekedState::Scheduled),
        (51, 3_000, PeekedState::Scheduled),
        (52, 1, PeekedState::Active),
    ] {
        let message = delivered(put_aside(&original(), second), sequence, 90_000);
        let peeked = Peeked { message, state, scheduled_for: None };
        if let Some(held) = HeldCensus::held(&peeked) {
            census.add(&peeked.message, &held);
        }
    }
    let count = HeldCount { messages: 2, since: at(2_000), originals: (at(1_000), at(1_000)) };
    assert_eq!((census.messages, census.streams.values().collect::<Vec<_>>()), (2, vec![&count, &count]));
    let mut both = census.clone();
    both.join(census.clone());
    assert_eq!((both.messages, both.streams.values().next().map(|count| count.messages)), (4, Some(4)));
    let told = census.held_streams().next().expect("a stream");
    assert_eq!((told.since, told.last), (at(1_000), at(1_000)));
}
