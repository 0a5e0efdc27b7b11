//! Messages for which Graph is asked who is meant.

use super::*;
use crate::{lease::Role, plan::LinkQuery};

fn query(n: u128) -> LinkQuery {
    LinkQuery::Attribute { attribute: "extensionAttribute7".into(), contact: ContactId(Uuid::from_u128(n)) }
}

fn asking(n: u128) -> Arrival<LockToken> {
    Arrival { intake: Intake::LookUp(vec![query(n)]), ..arrival(n, &[]) }
}

fn asks(n: u128) -> Effect<LockToken> {
    Effect::Find { lock: lock(n), queries: vec![query(n)] }
}

fn found(n: u128) -> Intake {
    arrival(n, &[n]).intake
}

fn not_found(grace: Duration) -> SearchResult {
    let dead_letter = DeadLetter::new(DeadLetterReason::UserNotFound, "in a test");
    Err(Failure { class: Class::Transient, dead_letter, grace: Some(grace), suspicion: None })
}

fn failed(class: Class) -> SearchResult {
    Err(failure(class).expect_err("a failure"))
}

#[test]
fn a_message_is_asked_for_planned_and_written_like_any_other() {
    let mut engine = engine();
    engine.arrived(asking(1), at(0));
    assert_eq!((engine.held(), engine.held.bytes()), (1, 100));
    assert_eq!(effects(&mut engine, at(0)), [asks(1)]);
    assert_eq!(effects(&mut engine, at(1)), [], "it is asked once");
    assert!(engine.message_mut(lock(1)).is_some());
    engine.found(lock(1), Ok(found(1)), at(1), 0.5);
    let [Effect::Write { write, changes: 1 }] = &effects(&mut engine, at(1))[..] else { panic!("no write") };
    assert_eq!((write.user, &*write.contacts), (user(1), &[ContactId(Uuid::from_u128(1))][..]));
    engine.write_ended(user(1), Ok(written()), at(2), 0.5);
    assert_eq!(settled(&effects(&mut engine, at(2))), [(lock(1), Outcome::Applied)]);
    assert!(engine.is_idle());
}

#[test]
fn what_is_settled_by_an_answer_is_and_another_question_is_asked() {
    let mut engine = engine();
    engine.arrived(asking(1), at(0));
    assert_eq!(effects(&mut engine, at(0)), [asks(1)]);
    engine.found(lock(1), Ok(Intake::LookUp(vec![query(2)])), at(1), 0.5);
    let asked = Effect::Find { lock: lock(1), queries: vec![query(2)] };
    assert_eq!(effects(&mut engine, at(1)), [asked]);
    let needless = Outcome::Unchanged(SkipReason::FilterNotMet);
    engine.found(lock(1), Ok(Intake::Settle(needless.clone())), at(2), 0.5);
    assert_eq!(settled(&effects(&mut engine, at(2))), [(lock(1), needless)]);
    assert!(engine.is_idle());
}

#[test]
fn few_are_asked_for_at_once_those_that_came_first_before_others() {
    let mut engine = Engine::new(EnginePolicy { bytes: 1_000_000, ..policy(RateLimiter::unlimited()) });
    for n in (1..=20).rev() {
        engine.arrived(asking(n), at(0));
    }
    assert_eq!(effects(&mut engine, at(0)), [1, 2, 3, 4, 5, 6, 7, 8].map(asks));
    engine.found(lock(3), Ok(found(3)), at(1), 0.5);
    let next = effects(&mut engine, at(1));
    assert!(next.contains(&asks(9)) && !next.contains(&asks(10)), "{next:?}");
}

#[test]
fn a_user_who_is_not_there_is_waited_for_and_then_a_dead_letter() {
    let mut engine = engine();
    let grace = Duration::from_mins(1);
    engine.arrived(asking(1), at(0));
    assert_eq!(effects(&mut engine, at(0)), [asks(1)]);
    let (mut now, mut tries) = (at(0), 1);
    let letter = loop {
        engine.found(lock(1), not_found(grace), now, 1.0);
        let (next, until) = effects_until(&mut engine, now);
        if let [(_, outcome)] = &settled(&next)[..] {
            break outcome.clone();
        }
        assert_eq!(next, [], "not at once");
        now = until.expect("it is asked again");
        assert_eq!(effects(&mut engine, now), [asks(1)]);
        tries += 1;
    };
    assert_eq!(now, at(60), "the last time at the end");
    assert!(tries > 3, "{tries}");
    assert_eq!(letter.letter().map(|letter| letter.reason), Some(DeadLetterReason::UserNotFound));
    assert!(engine.is_idle());
}

#[test]
fn what_may_pass_is_tried_again_and_then_returned_and_what_will_not_is_a_dead_letter() {
    let mut engine = engine();
    engine.arrived(asking(1), at(0));
    assert_eq!(effects(&mut engine, at(0)), [asks(1)]);
    engine.found(lock(1), failed(Class::Transient), at(0), 0.5);
    let (next, until) = effects_until(&mut engine, at(0));
    assert_eq!(next, []);
    let now = until.expect("it is asked again");
    assert_eq!(effects(&mut engine, now), [asks(1)]);
    engine.found(lock(1), failed(Class::Transient), now, 0.5);
    let outcomes = settled(&effects(&mut engine, now));
    assert!(matches!(&outcomes[..], [(_, Outcome::Returned(_))]), "{outcomes:?}");
    engine.arrived(asking(2), now);
    assert_eq!(effects(&mut engine, now), [asks(2)]);
    engine.found(lock(2), failed(Class::Permanent), now, 0.5);
    let outcomes = settled(&effects(&mut engine, now));
    assert!(matches!(&outcomes[..], [(_, Outcome::DeadLettered(_))]), "{outcomes:?}");
}

#[test]
fn nothing_is_asked_before_graph_wants_it_and_nothing_while_the_installation_is_at_fault() {
    let mut engine = engine();
    engine.arrived(asking(1), at(0));
    assert_eq!(effects(&mut engine, at(0)), [asks(1)]);
    let wait = Class::Throttled { retry_after: Some(Duration::from_secs(7)) };
    engine.found(lock(1), failed(wait), at(0), 0.5);
    engine.arrived(asking(2), at(1));
    let (next, until) = effects_until(&mut engine, at(1));
    assert_eq!((next, until), (vec![], Some(at(7))));
    assert_eq!(effects(&mut engine, at(7)), [asks(1), asks(2)]);
    engine.found(lock(1), failed(Class::Installation), at(7), 0.5);
    assert_eq!(engine.state(at(7)), State::Paused);
    let outcomes = settled(&effects(&mut engine, at(7)));
    assert_eq!(outcomes, [(lock(1), Outcome::Released), (lock(2), Outcome::Released)]);
    assert!(engine.fault().is_some() && engine.credit(at(7)) == 0);
    // The answer of the other one comes too late.
    engine.found(lock(2), Ok(found(2)), at(7), 0.5);
    assert_eq!(settled(&effects(&mut engine, at(7))), []);
    engine.arrived(asking(3), at(7));
    assert_eq!(settled(&effects(&mut engine, at(7))), [(lock(3), Outcome::Released)]);
    assert!(engine.is_idle());
}

#[test]
fn who_stands_by_asks_nothing_and_who_stops_or_loses_the_lease_gives_back() {
    let mut engine = engine();
    engine.set_role(Role::Standby);
    engine.arrived(asking(1), at(0));
    assert_eq!(effects(&mut engine, at(0)), []);
    engine.set_role(Role::Writer);
    assert_eq!(effects(&mut engine, at(0)), [asks(1)]);
    engine.set_role(Role::Standby);
    engine.abandon();
    assert_eq!(settled(&effects(&mut engine, at(1))), [(lock(1), Outcome::Released)]);
    engine.found(lock(1), Ok(found(1)), at(1), 0.5);
    assert_eq!(effects(&mut engine, at(1)), []);
    engine.set_role(Role::Writer);
    engine.arrived(asking(2), at(1));
    engine.arrived(asking(3), at(1));
    assert_eq!(effects(&mut engine, at(1)), [asks(2), asks(3)]);
    engine.stop(at(2));
    let outcomes = settled(&effects(&mut engine, at(2)));
    assert_eq!(outcomes, [(lock(2), Outcome::Released), (lock(3), Outcome::Released)]);
    engine.found(lock(2), Ok(found(2)), at(2), 0.5);
    assert_eq!(effects(&mut engine, at(2)), []);
    assert!(engine.is_idle());
}

#[test]
fn a_lock_that_is_lost_ends_the_question_and_one_that_is_kept_too_long_is_returned() {
    let mut engine = engine();
    engine.arrived(asking(1), at(0));
    engine.arrived(asking(2), at(0));
    assert_eq!(effects(&mut engine, at(0)), [asks(1), asks(2)]);
    engine.lock_lost(lock(1), at(1));
    assert_eq!(settled(&effects(&mut engine, at(1))), [(lock(1), Outcome::Released)]);
    engine.found(lock(1), Ok(found(1)), at(1), 0.5);
    assert_eq!(effects(&mut engine, at(1)), []);
    let late = at(600);
    let outcomes = settled(&effects(&mut engine, late));
    assert!(matches!(&outcomes[..], [(two, Outcome::Returned(_))] if *two == lock(2)), "{outcomes:?}");
    assert!(engine.message_mut(lock(2)).is_none());
}

#[test]
fn graph_that_answers_no_question_opens_the_breaker_and_blames_no_message_for_its_age() {
    let mut engine = engine();
    // Its time is over, and nothing holds writes back.
    engine.arrived(Arrival { age: Duration::from_hours(2), ..asking(1) }, at(0));
    let mut now = at(0);
    for _ in 0..2 {
        assert_eq!(effects(&mut engine, now), [asks(1)]);
        engine.found(lock(1), failed(Class::Transient), now, 0.5);
        now = now + Duration::from_secs(20);
    }
    let outcomes = settled(&effects(&mut engine, now));
    let reason = outcomes[0].1.letter().map(|letter| letter.reason);
    assert_eq!((outcomes.len(), reason), (1, Some(DeadLetterReason::RetryBudgetExhausted)));
    for n in 2..=4 {
        engine.arrived(Arrival { age: Duration::from_hours(2), ..asking(n) }, now);
    }
    effects(&mut engine, now);
    for _ in 0..2 {
        for n in 2..=4 {
            engine.found(lock(n), failed(Class::Transient), now, 0.5);
        }
        now = now + Duration::from_secs(20);
        effects(&mut engine, now);
    }
    assert_eq!(engine.state(now), State::BreakerOpen);
    assert_eq!(engine.held(), 0, "all are returned");
    engine.arrived(asking(5), now);
    assert_eq!(effects(&mut engine, now), [asks(5)], "an answer is what shows that Graph is well");
    engine.found(lock(5), Ok(found(5)), now, 0.5);
    assert_eq!(engine.state(now), State::Open);
}
