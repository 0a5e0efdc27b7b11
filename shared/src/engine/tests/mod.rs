//! Cases of the engine; the random worlds are in the simulation.

mod aside;
mod flood;
mod rows;
mod searches;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    class::Class,
    gate,
    ids::{ContactId, SequenceNumber},
    lanes,
    mass_change::Author,
    patch::{PropertyValue, UserPatch},
    plan::SkipReason,
    rate_limiter::RateLimiter,
    version::Version,
};

fn engine_with(pace: RateLimiter) -> Engine<LockToken> {
    Engine::new(policy(pace))
}

fn policy(pace: RateLimiter) -> EnginePolicy {
    let lanes = lanes::LaneLimits {
        concurrency: 2,
        messages: 10,
        retries: lanes::LaneLimits::default().retries.with_tries(2),
        many_users: 3,
        ..lanes::LaneLimits::default()
    };
    let gate = gate::GateLimits { breaker_users: 3, ..gate::GateLimits::default() };
    EnginePolicy {
        lanes,
        gate,
        pace,
        bytes: 1_000,
        max_age: Duration::from_hours(1),
        ..EnginePolicy::default()
    }
}

fn engine() -> Engine<LockToken> {
    engine_with(RateLimiter::unlimited())
}

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime::after_start(Duration::from_secs(seconds))
}

fn lock(n: u128) -> LockToken {
    LockToken(Uuid::from_u128(n))
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn arrival(n: u128, users: &[u128]) -> Arrival<LockToken> {
    let property = Property::named("givenName").expect("known");
    let planned = users.iter().map(|&id| Planned {
        user: user(id),
        contact: ContactId(Uuid::from_u128(id)),
        organization: None,
        version: None,
        read: None,
        patch: UserPatch::new([(property.clone(), PropertyValue::Text(n.to_string().into()))]).expect("one"),
        member: None,
    });
    Arrival {
        message: lock(n),
        lock: lock(n),
        taken: at(0),
        jitter: 0.5,
        // So long that no test but those of renewal comes to it.
        locked_for: Duration::from_hours(1),
        bytes: 100,
        enqueued: Timestamp::from_second(i64::try_from(n).expect("small")).expect("small"),
        age: Duration::ZERO,
        lineage: Lineage {
            origin: SequenceNumber(i64::try_from(n).expect("small")),
            generation: 0,
            attempt: 0,
            content: 0,
        },
        urgency: Priority::Live,
        provenance: Provenance::of(Author::Unknown),
        intake: Intake::Work(planned.collect(), Failures::default()),
    }
}

fn written() -> Success {
    Success { written: true, ..Success::default() }
}

fn failure(class: Class) -> WriteResult {
    let dead_letter = DeadLetter::new(DeadLetterReason::GraphRefused, "in a test");
    Err(Failure { class, dead_letter, grace: None, suspicion: None })
}

fn effects(engine: &mut Engine<LockToken>, now: MonotonicTime) -> Vec<Effect<LockToken>> {
    effects_until(engine, now).0
}

/// What the engine asks for now, and until when it then waits.
fn effects_until(
    engine: &mut Engine<LockToken>,
    now: MonotonicTime,
) -> (Vec<Effect<LockToken>>, Option<MonotonicTime>) {
    let mut effects = Vec::new();
    loop {
        match engine.next(now) {
            Step::Do(effect) => effects.push(effect),
            Step::Wait(until) => return (effects, until),
        }
    }
}

fn settled(effects: &[Effect<LockToken>]) -> Vec<(LockToken, Outcome)> {
    let settled = effects.iter().filter_map(|effect| match effect {
        Effect::Settle { message, outcome } => Some((*message, outcome.clone())),
        Effect::Write { .. }
        | Effect::Verify(_)
        | Effect::Probe
        | Effect::Renew(_)
        | Effect::Find { .. }
        | Effect::Read { .. } => None,
    });
    settled.collect()
}

#[test]
fn a_message_of_two_users_is_settled_when_both_are_written() {
    let mut engine = engine();
    engine.arrived(arrival(1, &[1, 2]), at(0));
    assert_eq!(effects(&mut engine, at(0)).len(), 2);
    engine.write_ended(user(1), Ok(written()), at(0), 0.5);
    assert_eq!(effects(&mut engine, at(0)), []);
    engine.write_ended(user(2), Ok(written()), at(0), 0.5);
    assert_eq!(settled(&effects(&mut engine, at(0))), [(lock(1), Outcome::Applied)]);
    assert!(engine.is_idle());
}

#[test]
fn what_needs_no_write_is_settled_at_once() {
    let mut engine = engine();
    let outcome = Outcome::Unchanged(SkipReason::NotAPortalUser);
    engine.arrived(Arrival { intake: Intake::Settle(outcome.clone()), ..arrival(1, &[]) }, at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), [(lock(1), outcome)]);
}

#[test]
fn credit_is_bounded_by_messages_and_by_bytes() {
    let mut engine = engine();
    assert_eq!(engine.credit(at(0)), 10);
    engine.arrived(arrival(1, &[1]), at(0));
    assert_eq!(engine.credit(at(0)), 9);
    engine.arrived(Arrival { bytes: 900, ..arrival(2, &[2]) }, at(0));
    assert_eq!(engine.credit(at(0)), 0, "the bytes are used up");
}

/// An engine that makes one write a second and holds messages for so many seconds.
fn slow_engine(max_lock_hold: u64) -> Engine<LockToken> {
    let max_lock_hold = Duration::from_secs(max_lock_hold);
    Engine::new(EnginePolicy { max_lock_hold, ..policy(RateLimiter::new(1.0, 1.0)) })
}

#[test]
fn credit_counts_writes_that_fit_into_half_of_the_time_for_which_messages_are_held() {
    let mut engine = slow_engine(8);
    engine.arrived(arrival(1, &[1]), at(0));
    assert_eq!(engine.credit(at(0)), 3, "four writes fit into half of eight seconds, and one is owed");
    engine.arrived(arrival(2, &[1]), at(0));
    assert_eq!(engine.credit(at(0)), 3, "a second change of the same user owes no second write");
    engine.arrived(arrival(3, &[2]), at(0));
    assert_eq!(engine.credit(at(0)), 2);
}

#[test]
fn while_renewals_fail_credit_counts_writes_that_fit_into_half_of_a_lock() {
    let mut engine = slow_engine(600);
    engine.arrived(Arrival { locked_for: Duration::from_secs(8), ..arrival(1, &[1]) }, at(0));
    engine.arrived(Arrival { locked_for: Duration::from_secs(8), ..arrival(2, &[2]) }, at(0));
    assert_eq!(engine.credit(at(0)), 8, "bounded by messages alone");
    for (answer, credit) in [(Renewal::Failed, 2), (Renewal::Renewed, 8), (Renewal::Failed, 2)] {
        engine.renewed([(lock(1), answer), (lock(2), Renewal::Renewed)], at(1));
        assert_eq!(engine.credit(at(1)), credit, "{answer:?}");
    }
}

#[test]
fn what_was_given_is_taken_back_only_where_more_must_not_come() {
    let mut engine = slow_engine(8);
    engine.arrived(arrival(1, &[1]), at(0));
    assert_eq!(engine.credit(at(0)), 3);
    let throttled = failure(Class::Throttled { retry_after: Some(Duration::from_mins(1)) });
    assert_eq!(effects(&mut engine, at(1)).len(), 1);
    engine.write_ended(user(1), throttled, at(1), 0.5);
    assert_eq!(engine.credit(at(1)), 3, "less would fit now, but it was given");
    engine.arrived(Arrival { bytes: 900, ..arrival(2, &[2]) }, at(1));
    assert_eq!(engine.credit(at(1)), 0, "the memory is full");
    engine.stop(at(1));
    assert_eq!(engine.credit(at(1)), 0);
}

#[test]
fn a_fault_of_the_installation_gives_everything_back_and_takes_no_more_until_a_write_succeeds() {
    let mut engine = engine();
    for n in 1..=4 {
        engine.arrived(arrival(n, &[n]), at(0));
    }
    assert_eq!(effects(&mut engine, at(0)).len(), 2, "two writes");
    engine.write_ended(user(1), failure(Class::Installation), at(0), 1.0);
    let given_back = settled(&effects(&mut engine, at(0)));
    assert_eq!(given_back.len(), 3, "all but the one under way");
    assert!(given_back.iter().all(|(_, outcome)| *outcome == Outcome::Released));
    engine.write_ended(user(2), failure(Class::Installation), at(0), 1.0);
    let (last, until) = effects_until(&mut engine, at(0));
    assert_eq!(settled(&last), [(lock(2), Outcome::Released)]);
    assert_eq!((engine.credit(at(0)), until), (0, Some(at(1))));
    assert_eq!(effects(&mut engine, at(1)), [Effect::Probe]);
    assert_eq!(effects(&mut engine, at(2)), [], "one probe at a time");
    engine.probed(true, at(2), 0.5);
    assert_eq!(engine.credit(at(2)), 1, "on trial");
    engine.arrived(arrival(5, &[5]), at(2));
    assert_eq!(effects(&mut engine, at(2)).len(), 1);
    engine.write_ended(user(5), Ok(written()), at(2), 0.5);
    assert_eq!(engine.credit(at(2)), 10);
}

#[test]
fn stopping_gives_back_what_was_not_begun_and_waits_for_the_rest() {
    let mut engine = engine();
    for n in 1..=3 {
        engine.arrived(arrival(n, &[n]), at(0));
    }
    assert_eq!(effects(&mut engine, at(0)).len(), 2, "two writes");
    engine.stop(at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), [(lock(3), Outcome::Released)]);
    assert_eq!(engine.credit(at(0)), 0);
    engine.write_ended(user(1), Ok(written()), at(0), 0.5);
    engine.write_ended(user(2), failure(Class::Transient), at(0), 0.5);
    let last = settled(&effects(&mut engine, at(0)));
    assert_eq!(last, [(lock(1), Outcome::Applied), (lock(2), Outcome::Released)]);
    engine.arrived(arrival(4, &[4]), at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), [(lock(4), Outcome::Released)]);
    assert!(engine.is_idle());
}

#[test]
fn a_message_held_too_long_is_handed_back_for_later() {
    let mut engine = engine();
    engine.arrived(arrival(1, &[1]), at(0));
    engine.arrived(arrival(2, &[1]), at(0));
    assert_eq!(effects(&mut engine, at(0)).len(), 1, "one write of both");
    engine.arrived(arrival(3, &[1]), at(1));
    assert_eq!(effects(&mut engine, at(600)), [], "what is under way is left to its end");
    let back = settled(&effects(&mut engine, at(601)));
    assert!(matches!(&back[..], [(message, Outcome::Returned(_))] if *message == lock(3)), "{back:?}");
}

#[test]
fn a_lost_lock_takes_the_message_out_before_its_write() {
    let mut engine = engine_with(RateLimiter::new(1.0, 1.0));
    engine.arrived(arrival(1, &[1]), at(0));
    engine.arrived(arrival(2, &[2]), at(0));
    assert_eq!(effects(&mut engine, at(1)).len(), 1, "the newest first");
    engine.lock_lost(lock(1), at(0));
    assert_eq!(settled(&effects(&mut engine, at(9))), [(lock(1), Outcome::Released)]);
}

#[test]
fn the_engine_wakes_when_the_gate_opens() {
    let mut engine = engine();
    engine.arrived(arrival(1, &[1]), at(0));
    assert_eq!(effects(&mut engine, at(0)).len(), 1);
    let throttled = failure(Class::Throttled { retry_after: Some(Duration::from_secs(7)) });
    engine.write_ended(user(1), throttled, at(0), 0.5);
    assert_eq!(effects_until(&mut engine, at(0)), (vec![], Some(at(7))));
    assert_eq!(effects(&mut engine, at(7)).len(), 1);
}

#[test]
fn a_message_whose_copy_was_sent_is_only_removed_when_it_comes_again() {
    let mut engine = engine();
    let again = arrival(1, &[1]);
    engine.copied(again.lineage);
    engine.arrived(again, at(0));
    assert_eq!(settled(&effects(&mut engine, at(0))), [(lock(1), Outcome::Copied)]);
    let copy = Arrival {
        message: lock(2),
        lock: lock(2),
        lineage: Lineage { attempt: 1, ..arrival(1, &[]).lineage },
        ..arrival(1, &[1])
    };
    engine.arrived(copy, at(1));
    assert!(matches!(&effects(&mut engine, at(1))[..], [Effect::Write { .. }]));
}

#[test]
fn a_time_in_the_future_is_cut_to_when_the_message_reached_the_queue() {
    let mut engine = engine();
    let enqueued = Timestamp::from_second(1_000).expect("small");
    for (n, ahead, cut) in [(1, 299, false), (2, 301, true), (3, 9_999_999, true)] {
        let at_time = Timestamp::from_second(1_000 + ahead).expect("small");
        let mut message = arrival(n, &[n]);
        let Intake::Work(planned, _) = &mut message.intake else { panic!("work") };
        planned[0].version = Some(Version::at(at_time));
        let before = engine.times_cut();
        engine.arrived(Arrival { enqueued, ..message }, at(0));
        assert_eq!(engine.times_cut() - before, u64::from(cut), "{ahead}");
        for effect in effects(&mut engine, at(0)) {
            let Effect::Write { write, .. } = effect else { continue };
            let latest = Timestamp::from_second(1_300).expect("small");
            assert_eq!(write.entries[0].stamp.version.at, at_time.min(latest));
            engine.write_ended(write.user, Ok(written()), at(0), 0.5);
        }
    }
}

/// Something that happens to an engine.
#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive { user: u128 },
    Write { which: usize, how: u8 },
    Look { which: usize, how: u8 },
    Probe { well: bool },
    Settled { which: usize },
    Renewed { how: Renewal },
    Later { millis: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u128..4).prop_map(|user| Event::Arrive { user }),
        4 => (0_usize..4, 0_u8..6).prop_map(|(which, how)| Event::Write { which, how }),
        2 => (0_usize..4, 0_u8..3).prop_map(|(which, how)| Event::Look { which, how }),
        1 => any::<bool>().prop_map(|well| Event::Probe { well }),
        3 => (0_usize..4).prop_map(|which| Event::Settled { which }),
        2 => prop_oneof![Just(Renewal::Renewed), Just(Renewal::Lost), Just(Renewal::Failed)]
            .prop_map(|how| Event::Renewed { how }),
        3 => (1_u64..3_000).prop_map(|millis| Event::Later { millis }),
    ]
}

fn result(how: u8) -> WriteResult {
    match how {
        0 => failure(Class::Transient),
        1 => failure(Class::Throttled { retry_after: None }),
        2 => failure(Class::Installation),
        3 => failure(Class::Permanent),
        _ => Ok(written()),
    }
}

/// What an engine has asked for and not heard of.
#[derive(Default)]
struct UnderWay {
    settling: Vec<LockToken>,
    renewing: Vec<LockToken>,
    writes: Vec<UserId>,
    looks: Vec<UserId>,
    probe: bool,
}

impl UnderWay {
    fn take(&mut self, effects: Vec<Effect<LockToken>>) {
        for effect in effects {
            match effect {
                Effect::Write { write, .. } => self.writes.push(write.user),
                Effect::Verify(write) => self.looks.push(write.user),
                Effect::Probe => self.probe = true,
                Effect::Find { .. } | Effect::Read { .. } => panic!("nobody has to be found"),
                Effect::Settle { message, .. } => self.settling.push(message),
                Effect::Renew(locks) => self.renewing = locks,
            }
        }
    }

    fn happen(&mut self, engine: &mut Engine<LockToken>, event: Event, number: u128, now: MonotonicTime) {
        match event {
            Event::Arrive { user } => {
                let locked_for = Duration::from_secs(5);
                engine.arrived(Arrival { locked_for, taken: now, ..arrival(number, &[user]) }, now);
            }
            Event::Write { which, how } if !self.writes.is_empty() => {
                let user = self.writes.remove(which % self.writes.len());
                engine.write_ended(user, result(how), now, 0.5);
            }
            Event::Look { which, how } if !self.looks.is_empty() => {
                let user = self.looks.remove(which % self.looks.len());
                let undone = Property::named("givenName").filter(|_| how == 1).into_iter().collect();
                let looked = result(how).map(|_| undone);
                engine.verified(
                    user,
                    if how == 0 { looked } else { Ok(looked.unwrap_or_default()) },
                    now,
                    0.5,
                );
            }
            Event::Probe { well } if std::mem::take(&mut self.probe) => engine.probed(well, now, 0.5),
            Event::Settled { which } if !self.settling.is_empty() => {
                let which = which % self.settling.len();
                engine.settled(self.settling.remove(which));
            }
            Event::Renewed { how } if !self.renewing.is_empty() => {
                let locks = std::mem::take(&mut self.renewing);
                engine.renewed(locks.into_iter().map(|lock| (lock, how)), now);
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn asked_before_the_time_it_announced_the_engine_does_nothing_and_then_it_acts_or_names_a_later_one(
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut engine = Engine::new(EnginePolicy {
            lanes: lanes::LaneLimits { verify_after: Some(Duration::from_secs(4)), ..policy(RateLimiter::new(2.0, 3.0)).lanes },
            ..policy(RateLimiter::new(2.0, 3.0))
        });
        let (mut under_way, mut now) = (UnderWay::default(), at(0));
        for (number, event) in (1..).zip(events) {
            under_way.happen(&mut engine, event, number, now);
            let (effects, until) = effects_until(&mut engine, now);
            under_way.take(effects);
            prop_assert!(until.is_none_or(|until| until > now), "{:?} at {:?}", until, now);
            let Event::Later { millis } = event else { continue };
            let then = now + Duration::from_millis(millis);
            // What a sum of fractions may be off.
            let sure = Duration::from_micros(200);
            match until {
                Some(until) if until <= then => now = until,
                _ => {
                    now = then;
                    let near = until.is_some_and(|until| until - now < sure);
                    let (effects, again) = effects_until(&mut engine, now);
                    prop_assert!(near || effects.is_empty(), "{:?} before {:?}", effects, until);
                    under_way.take(effects);
                    prop_assert!(near || again.is_some() <= until.is_some(), "{:?} before {:?}", again, until);
                }
            }
        }
    }
}

#[test]
fn a_lock_is_renewed_from_the_arrival_of_its_message_to_the_end_of_its_settlement() {
    let mut engine = engine();
    let short = |n, users: &[u128]| Arrival { locked_for: Duration::from_secs(10), ..arrival(n, users) };
    engine.arrived(short(1, &[1]), at(0));
    let (begun, until) = effects_until(&mut engine, at(0));
    assert_eq!((begun.len(), until), (1, Some(at(5))));
    let renew = [Effect::Renew(vec![lock(1)])];
    assert_eq!(effects(&mut engine, at(5)), renew);
    assert_eq!(effects_until(&mut engine, at(9)), (vec![], Some(at(600))), "one request at a time");
    assert_eq!(engine.renewed([(lock(1), Renewal::Renewed)], at(9)), 0);
    engine.write_ended(user(1), Ok(written()), at(9), 0.5);
    assert_eq!(settled(&effects(&mut engine, at(9))), [(lock(1), Outcome::Applied)]);
    assert_eq!(effects(&mut engine, at(10)), renew, "its settlement is under way");
    engine.renewed([(lock(1), Renewal::Failed)], at(11));
    engine.settled(lock(1));
    assert_eq!(effects_until(&mut engine, at(12)), (vec![], None));
}

#[test]
fn a_renewal_that_shows_a_lock_to_be_lost_takes_the_message_out() {
    let mut engine = engine_with(RateLimiter::new(1.0, 1.0));
    let short = |n| Arrival { locked_for: Duration::from_secs(10), ..arrival(n, &[n]) };
    engine.arrived(short(1), at(0));
    engine.arrived(short(2), at(0));
    assert_eq!(effects(&mut engine, at(1)).len(), 1, "the newest first");
    let throttled = failure(Class::Throttled { retry_after: Some(Duration::from_mins(1)) });
    engine.write_ended(user(2), throttled, at(1), 0.5);
    assert_eq!(effects(&mut engine, at(5)), [Effect::Renew(vec![lock(1), lock(2)])]);
    let answers = [(lock(1), Renewal::Lost), (lock(2), Renewal::Renewed)];
    assert_eq!(engine.renewed(answers, at(5)), 1);
    assert_eq!(settled(&effects(&mut engine, at(5))), [(lock(1), Outcome::Released)]);
    assert_eq!(engine.held(), 1);
}
