//! Messages that are held aside.

use std::num::NonZeroU32;

use super::*;
use crate::mass_change::{MassChangePolicy, PriorDecision};

fn guarded(users: u32) -> Engine<LockToken> {
    let mass_change = MassChangePolicy { users: NonZeroU32::new(users), ..MassChangePolicy::default() };
    Engine::new(EnginePolicy { mass_change, bytes: 1_000_000, ..policy(RateLimiter::unlimited()) })
}

fn by(author: u128, arrival: Arrival<LockToken>) -> Arrival<LockToken> {
    Arrival { provenance: Provenance::of(Author::User(Uuid::from_u128(author))), ..arrival }
}

fn is_held(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::HeldAside(streams) if streams.len() == 1)
}

#[test]
fn what_is_one_too_many_is_held_aside_and_enters_no_lane() {
    let mut engine = guarded(2);
    for n in 1..=4 {
        engine.arrived(by(1, arrival(n, &[n])), at(0));
    }
    engine.arrived(by(2, arrival(5, &[3])), at(0));
    engine.arrived(Arrival { intake: Intake::Settle(Outcome::Stale), ..by(1, arrival(6, &[])) }, at(0));
    let effects = effects(&mut engine, at(0));
    let settled: Vec<_> = settled(&effects);
    assert!(
        matches!(&settled[..], [(three, held), (four, also), (six, Outcome::Stale)]
            if [*three, *four, *six] == [lock(3), lock(4), lock(6)] && is_held(held) && is_held(also)),
        "{settled:?}"
    );
    assert_eq!(
        (engine.held(), engine.in_flight()),
        (3, 2),
        "two lanes have a place, and none of them is held"
    );
}

#[test]
fn a_held_message_whose_copy_was_sent_is_only_removed_when_it_comes_again() {
    let mut engine = guarded(1);
    engine.arrived(by(1, arrival(1, &[1])), at(0));
    let second = by(1, arrival(2, &[2]));
    engine.arrived(second.clone(), at(0));
    assert!(settled(&effects(&mut engine, at(0))).iter().all(|(_, outcome)| is_held(outcome)));
    engine.copied(second.lineage);
    engine.arrived(second.clone(), at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), [(lock(2), Outcome::Copied)]);
    engine.removed(second.lineage);
    // The copy returns by its schedule, and nobody has decided.
    let standing = PriorDecision::HeldAside(Box::default());
    let provenance = Provenance { standing, ..second.provenance };
    let lineage = Lineage { attempt: 1, ..second.lineage };
    let copy = Arrival { message: lock(9), lock: lock(9), provenance, lineage, ..second.clone() };
    engine.arrived(copy, at(1));
    let held = settled(&effects(&mut engine, at(1)));
    assert_eq!(held, [(lock(9), Outcome::HeldAside(Box::default()))]);
}

#[test]
fn an_approved_message_is_written() {
    let mut engine = guarded(1);
    engine.arrived(by(1, arrival(1, &[1])), at(0));
    let approved = by(1, arrival(2, &[2]));
    let streams = Box::default();
    let standing = PriorDecision::Approved { at: approved.enqueued, streams };
    let provenance = Provenance { standing, ..approved.provenance };
    engine.arrived(Arrival { provenance, ..approved }, at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), []);
    assert_eq!(engine.in_flight(), 2);
}

#[test]
fn what_graph_says_whom_it_means_counts_like_any_other() {
    let mut engine = guarded(1);
    let query = LinkQuery::Attribute {
        attribute: "extensionAttribute7".into(),
        contact: ContactId(Uuid::from_u128(2)),
    };
    engine.arrived(by(1, arrival(1, &[1])), at(0));
    engine.arrived(Arrival { intake: Intake::LookUp(vec![query]), ..by(1, arrival(2, &[])) }, at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), []);
    let Arrival { intake, .. } = arrival(2, &[2]);
    engine.found(lock(2), Ok(intake), at(0), 0.5);
    let held = settled(&effects(&mut engine, at(0)));
    assert!(matches!(&held[..], [(two, held)] if *two == lock(2) && is_held(held)), "{held:?}");
    assert_eq!(engine.held(), 1);
}

#[test]
fn no_more_is_taken_than_copies_can_be_sent_of() {
    let lanes = lanes::LaneLimits { messages: 50_000, ..lanes::LaneLimits::default() };
    let mut engine = guarded(1);
    engine.policy.lanes = lanes;
    for n in 1..=1_001 {
        engine.arrived(by(1, arrival(n, &[n])), at(0));
    }
    assert_eq!(engine.credit(at(0)), 0);
    engine.settled(lock(2));
    assert_eq!(engine.credit(at(0)), 1);
}
