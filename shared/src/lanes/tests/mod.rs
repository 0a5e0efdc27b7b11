//! A small world around the scheduler: a directory that fails at random, and a model of what must come out.

mod addresses;
mod read_back;
mod scarcity;

use std::{collections::HashMap, num::NonZeroUsize, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    class::Class,
    gate,
    ids::{ContactId, SequenceNumber},
    lww_register::{LwwRegister, Stamp},
    patch::{PropertyValue, UserPatch},
    priority::Priority,
    property::Property,
    rate_limiter::RateLimiter,
    reason::{DeadLetter, DeadLetterReason},
    version::Version,
};

const PROPERTIES: [&str; 3] = ["givenName", "mail", "surname"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    id: usize,
}

fn limits() -> LaneLimits {
    let retries = LaneLimits::default().retries.with_tries(3);
    LaneLimits { concurrency: 2, messages: 100, retries, many_users: 3, ..LaneLimits::default() }
}

fn lanes() -> Lanes<Message> {
    lanes_with(RateLimiter::unlimited())
}

fn lanes_with(pace: RateLimiter) -> Lanes<Message> {
    let gate_limits = gate::GateLimits { breaker_users: 3, ..gate::GateLimits::default() };
    Lanes::new(limits(), Gate::new(gate_limits, pace))
}

fn user(n: u8) -> UserId {
    UserId(Uuid::from_u128(u128::from(n) + 1))
}

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn stamp(version: i64, arrival: usize) -> Stamp {
    Stamp {
        version: Version::at(Timestamp::from_second(version).expect("small")),
        arrival: SequenceNumber(i64::try_from(arrival).expect("small")),
    }
}

fn work(id: usize, to: u8, version: i64, values: &[(&str, &str)]) -> Work<Message> {
    let entries = values.iter().map(|(name, value)| (property(name), PropertyValue::Text((*value).into())));
    Work {
        user: user(to),
        contact: ContactId(Uuid::from_u128(u128::from(to) + 1)),
        stamp: stamp(version, id),
        patch: UserPatch::new(entries).expect("not empty"),
        urgency: Priority::Live,
        deadline: at(3600),
        refused_before: false,
        ticket: Message { id },
    }
}

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime::after_start(Duration::from_secs(seconds))
}

fn applied() -> Success {
    Success { written: true, ..Success::default() }
}

fn failure(class: Class) -> Result<Success, Failure> {
    let dead_letter = DeadLetter::new(DeadLetterReason::GraphRefused, "refused in a test");
    Err(Failure { class, dead_letter, grace: None, suspicion: None })
}

#[track_caller]
fn expect_write(next: Step<Action<Message>>, to: u8, values: &[(&str, &str)], messages: usize) {
    let Step::Do(Action::Write { write, changes }) = next else { panic!("{next:?} is no write") };
    assert_eq!((write.user, changes), (user(to), messages));
    let mut entries: Vec<_> =
        write.entries.iter().map(|entry| (entry.property.name(), entry.value.clone())).collect();
    entries.sort_by_key(|(name, _)| *name);
    let expected: Vec<_> =
        values.iter().map(|(name, value)| (*name, PropertyValue::Text((*value).into()))).collect();
    assert_eq!(entries, expected);
}

fn verdicts(settled: &[(Work<Message>, Outcome)]) -> Vec<(usize, &Outcome)> {
    settled.iter().map(|(work, verdict)| (work.ticket.id, verdict)).collect()
}

#[test]
fn changes_of_one_user_that_wait_together_become_one_write_of_the_newest_values() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 20, &[("givenName", "new")]), at(0));
    lanes.push(work(2, 0, 10, &[("givenName", "old"), ("surname", "kept")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("givenName", "new"), ("surname", "kept")], 2);
    let settled = lanes.finished(user(0), Ok(applied()), at(0), 0.5);
    assert_eq!(verdicts(&settled), [(2, &Outcome::Applied), (1, &Outcome::Applied)]);
    assert_eq!((lanes.held(), lanes.in_flight()), (0, 0));
}

fn replayed(work: Work<Message>) -> Work<Message> {
    Work { urgency: Priority::Replayed, ..work }
}

/// The users in the order in which their writes start, one at a time, and how urgent each was.
fn writes(lanes: &mut Lanes<Message>) -> Vec<(UserId, Priority)> {
    let mut writes = Vec::new();
    while let Step::Do(Action::Write { write, .. }) = lanes.next(at(0)) {
        writes.push((write.user, write.urgency));
        lanes.finished(write.user, Ok(applied()), at(0), 0.5);
    }
    writes
}

#[test]
fn what_is_replayed_yields_to_what_is_live() {
    let mut lanes = lanes();
    lanes.push(replayed(work(1, 0, 1, &[("givenName", "a")])), at(0));
    lanes.push(work(2, 1, 2, &[("givenName", "b")]), at(0));
    assert_eq!(writes(&mut lanes), [(user(1), Priority::Live), (user(0), Priority::Replayed)]);
}

#[test]
fn a_live_change_takes_the_replayed_ones_of_its_user_along() {
    let mut lanes = lanes();
    for to in [0, 1] {
        lanes.push(replayed(work(usize::from(to), to, 1, &[("givenName", "a")])), at(0));
    }
    lanes.push(work(2, 1, 2, &[("surname", "b")]), at(0));
    assert_eq!(writes(&mut lanes), [(user(1), Priority::Live), (user(0), Priority::Replayed)]);
}

#[test]
fn a_merged_write_that_is_taken_apart_stays_as_urgent_as_its_most_urgent_change() {
    let mut lanes = lanes();
    lanes.push(replayed(work(1, 0, 1, &[("givenName", "a")])), at(0));
    lanes.push(work(2, 0, 2, &[("surname", "b")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("givenName", "a"), ("surname", "b")], 2);
    lanes.push(replayed(work(3, 1, 1, &[("givenName", "c")])), at(0));
    assert_eq!(lanes.finished(user(0), failure(Class::Permanent), at(0), 0.5), []);
    let order = [(user(0), Priority::Replayed), (user(0), Priority::Live), (user(1), Priority::Replayed)];
    assert_eq!(writes(&mut lanes), order);
}

#[test]
fn a_change_older_than_what_was_written_is_stale_and_costs_no_write() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 20, &[("givenName", "new")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("givenName", "new")], 1);
    lanes.finished(user(0), Ok(applied()), at(0), 0.5);
    lanes.push(work(2, 0, 10, &[("givenName", "old")]), at(0));
    let Step::Do(Action::Settle(settled)) = lanes.next(at(1)) else { panic!("nothing settled") };
    assert_eq!(verdicts(&settled), [(2, &Outcome::Stale)]);
}

#[test]
fn a_change_that_the_mark_of_the_user_supersedes_is_stale() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 10, &[("givenName", "old")]), at(0));
    lanes.push(work(2, 0, 20, &[("surname", "new")]), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })));
    let outcome =
        Ok(Success { written: true, superseded: vec![property("givenName")], ..Success::default() });
    let settled = lanes.finished(user(0), outcome, at(0), 0.5);
    assert_eq!(verdicts(&settled), [(1, &Outcome::Stale), (2, &Outcome::Applied)]);
}

#[test]
fn a_message_delivered_again_after_its_write_is_completed_without_a_second_write() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 20, &[("givenName", "new")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("givenName", "new")], 1);
    lanes.finished(user(0), Ok(applied()), at(0), 0.5);
    lanes.push(work(1, 0, 20, &[("givenName", "new")]), at(0));
    assert!(matches!(lanes.next(at(1)), Step::Do(Action::Settle(_))));
}

#[test]
fn only_one_write_of_a_user_is_under_way_while_others_go_on() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("mail", "a")], 1);
    lanes.push(work(2, 0, 2, &[("mail", "b")]), at(0));
    lanes.push(work(3, 1, 1, &[("mail", "c")]), at(0));
    expect_write(lanes.next(at(0)), 1, &[("mail", "c")], 1);
    assert_eq!(lanes.next(at(0)), Step::Wait(None));
    lanes.finished(user(0), Ok(applied()), at(0), 0.5);
    expect_write(lanes.next(at(0)), 0, &[("mail", "b")], 1);
}

#[test]
fn of_a_refused_merged_write_only_the_guilty_change_is_dead_lettered() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("surname", "good")]), at(0));
    lanes.push(work(2, 0, 2, &[("mail", "bad")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("mail", "bad"), ("surname", "good")], 2);
    assert_eq!(lanes.finished(user(0), failure(Class::Permanent), at(0), 0.5), []);
    expect_write(lanes.next(at(0)), 0, &[("surname", "good")], 1);
    assert_eq!(verdicts(&lanes.finished(user(0), Ok(applied()), at(0), 0.5)), [(1, &Outcome::Applied)]);
    expect_write(lanes.next(at(0)), 0, &[("mail", "bad")], 1);
    let settled = lanes.finished(user(0), failure(Class::Permanent), at(0), 0.5);
    assert!(matches!(&settled[..], [(_, Outcome::DeadLettered(_))]));
}

#[test]
fn a_write_that_keeps_failing_is_handed_back_and_after_its_deadline_dead_lettered() {
    for (deadline, exhausted) in [(3600, false), (1, true)] {
        let mut lanes = lanes();
        lanes.push(Work { deadline: at(deadline), ..work(1, 0, 1, &[("mail", "a")]) }, at(0));
        let mut settled = Vec::new();
        for second in (0..).step_by(10).take(3) {
            assert!(settled.is_empty());
            assert!(matches!(lanes.next(at(second)), Step::Do(Action::Write { .. })));
            settled = lanes.finished(user(0), failure(Class::Transient), at(second), 1.0);
        }
        match &settled[..] {
            [(_, Outcome::Returned(_))] => assert!(!exhausted),
            [(_, Outcome::DeadLettered(letter))] => {
                assert!(exhausted);
                assert_eq!(letter.reason, DeadLetterReason::RetryBudgetExhausted);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_user_who_may_be_too_new_is_tried_for_the_grace_time_and_then_dead_lettered() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    let missing = Err(Failure {
        class: Class::Transient,
        dead_letter: DeadLetter::new(DeadLetterReason::UserNotFound, "no such user"),
        grace: Some(Duration::from_secs(25)),
        suspicion: None,
    });
    for second in [0, 10, 20] {
        assert!(matches!(lanes.next(at(second)), Step::Do(Action::Write { .. })));
        assert_eq!(lanes.finished(user(0), missing.clone(), at(second), 1.0), []);
    }
    assert!(matches!(lanes.next(at(30)), Step::Do(Action::Write { .. })));
    let settled = lanes.finished(user(0), missing, at(30), 1.0);
    assert!(
        matches!(&settled[..], [(_, Outcome::DeadLettered(letter))] if letter.reason == DeadLetterReason::UserNotFound)
    );
}

#[test]
fn a_replayed_write_that_is_throttled_waits_alone_and_a_live_one_holds_everybody_back() {
    let throttled = || failure(Class::Throttled { retry_after: Some(Duration::from_secs(5)) });
    let mut lanes = lanes();
    lanes.push(replayed(work(1, 0, 1, &[("mail", "a")])), at(0));
    expect_write(lanes.next(at(0)), 0, &[("mail", "a")], 1);
    assert_eq!(lanes.finished(user(0), throttled(), at(0), 0.5), []);
    assert_eq!(lanes.next(at(0)), Step::Wait(Some(at(5))));
    lanes.push(work(2, 1, 2, &[("mail", "b")]), at(1));
    expect_write(lanes.next(at(1)), 1, &[("mail", "b")], 1);
    assert_eq!(lanes.next(at(1)), Step::Wait(Some(at(5))), "the replayed one still waits");
    assert_eq!(lanes.finished(user(1), throttled(), at(4), 0.5), []);
    assert_eq!(lanes.next(at(6)), Step::Wait(Some(at(9))), "now there is no room for anybody");
    expect_write(lanes.next(at(9)), 1, &[("mail", "b")], 1);
    // A live change of the same user makes the replayed one as urgent.
    lanes.push(work(3, 0, 3, &[("surname", "King")]), at(9));
    expect_write(lanes.next(at(9)), 0, &[("mail", "a"), ("surname", "King")], 2);
}

#[test]
fn a_throttled_write_waits_for_the_time_asked_and_counts_no_try() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    for round in 0..10 {
        assert!(matches!(lanes.next(at(round * 10)), Step::Do(Action::Write { .. })));
        let throttled = failure(Class::Throttled { retry_after: Some(Duration::from_secs(5)) });
        assert_eq!(lanes.finished(user(0), throttled, at(round * 10), 0.5), []);
        assert_eq!(lanes.next(at(round * 10)), Step::Wait(Some(at(round * 10 + 5))));
    }
}

#[test]
fn a_fault_of_the_installation_pauses_and_everything_can_be_given_back() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    lanes.push(work(2, 1, 1, &[("mail", "b")]), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })));
    assert_eq!(lanes.finished(user(0), failure(Class::Installation), at(0), 0.5), []);
    assert_eq!(lanes.gate().state(at(0)), State::Paused);
    let mut released = lanes.release_waiting();
    released.sort_by_key(|(work, _)| work.ticket.id);
    assert_eq!(verdicts(&released), [(1, &Outcome::Released), (2, &Outcome::Released)]);
    assert_eq!(lanes.held(), 0);
}

#[test]
fn a_change_whose_lock_is_lost_before_its_write_is_withdrawn() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    lanes.push(work(2, 0, 2, &[("surname", "b")]), at(0));
    let withdrawn = lanes.withdraw(user(0), |message| message.id == 1);
    assert_eq!(withdrawn.len(), 1);
    expect_write(lanes.next(at(0)), 0, &[("surname", "b")], 1);
    assert!(lanes.withdraw(user(0), |message| message.id == 2).is_empty(), "it is under way");
}

#[test]
fn a_lane_emptied_by_withdrawing_has_nothing_to_do_and_stays_usable() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    lanes.withdraw(user(0), |_| true);
    assert_eq!((lanes.next(at(0)), lanes.held()), (Step::Wait(None), 0));
    lanes.push(work(2, 0, 2, &[("mail", "b")]), at(0));
    expect_write(lanes.next(at(0)), 0, &[("mail", "b")], 1);
}

#[test]
fn after_a_pause_one_write_at_a_time_is_tried_until_one_succeeds() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    lanes.push(work(2, 1, 1, &[("mail", "b")]), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })));
    lanes.finished(user(0), failure(Class::Installation), at(0), 0.5);
    assert_eq!(lanes.next(at(100)), Step::Wait(None), "writes wait for a probe");
    assert!(lanes.probe_due().is_some_and(|due| due < at(1)));
    lanes.probed(true, at(100), 0.5);
    assert!(matches!(lanes.next(at(100)), Step::Do(Action::Write { .. })));
    assert_eq!(lanes.next(at(100)), Step::Wait(None));
    lanes.finished(user(0), Ok(applied()), at(100), 0.5);
    assert!(matches!(lanes.next(at(100)), Step::Do(Action::Write { .. })));
}

#[test]
fn a_write_refused_on_trial_is_set_aside_so_that_it_cannot_keep_the_pause_up() {
    let mut lanes = lanes();
    lanes.push(work(1, 0, 1, &[("mail", "a")]), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })));
    assert_eq!(lanes.finished(user(0), failure(Class::Installation), at(0), 0.5), []);
    lanes.probed(true, at(100), 0.5);
    assert!(matches!(lanes.next(at(100)), Step::Do(Action::Write { .. })));
    let settled = lanes.finished(user(0), failure(Class::Installation), at(100), 0.5);
    assert!(matches!(&settled[..], [(_, Outcome::Returned(_))]));
    assert_eq!((lanes.gate().state(at(100)), lanes.held()), (State::Paused, 0));
}

/// One step of the random world.
#[derive(Clone, Debug)]
enum Event {
    Arrive { user: u8, version: i64, property: usize, poison: bool },
    Start,
    Finish { which: usize, how: u8 },
    Later,
}

fn step() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0_u8..4, 0_i64..30, 0_usize..3, prop::bool::weighted(0.1))
            .prop_map(|(user, version, property, poison)| Event::Arrive { user, version, property, poison }),
        3 => Just(Event::Start),
        3 => (0_usize..4, 0_u8..10).prop_map(|(which, how)| Event::Finish { which, how }),
        1 => Just(Event::Later),
    ]
}

#[derive(Default)]
struct World {
    now: u64,
    directory: HashMap<(UserId, Property), PropertyValue>,
    expected: HashMap<(UserId, Property), LwwRegister<PropertyValue>>,
    arrived: Vec<Work<Message>>,
    flying: Vec<UserWrite>,
    settled: HashMap<usize, Outcome>,
}

impl World {
    fn arrive(&mut self, lanes: &mut Lanes<Message>, to: u8, version: i64, name: usize, poison: bool) {
        let id = self.arrived.len();
        let value = format!("{}{id}", if poison { "poison" } else { "v" });
        let urgency = if version % 2 == 0 { Priority::Live } else { Priority::Replayed };
        let work = Work { urgency, ..work(id, to, version, &[(PROPERTIES[name], &value)]) };
        self.arrived.push(work.clone());
        lanes.push(work, at(0));
    }

    fn start(&mut self, lanes: &mut Lanes<Message>) {
        match lanes.next(at(self.now)) {
            Step::Do(Action::Write { write, .. }) => {
                assert!(self.flying.iter().all(|other| other.user != write.user), "two writes of one user");
                self.flying.push(write);
            }
            Step::Do(Action::Settle(settled)) => self.settle(settled),
            Step::Wait(_) | Step::Do(Action::Verify(_)) => {}
        }
    }

    fn finish(&mut self, lanes: &mut Lanes<Message>, which: usize, how: u8) {
        if self.flying.is_empty() {
            return;
        }
        let UserWrite { user, entries, .. } = self.flying.remove(which % self.flying.len());
        let poisoned = entries
            .iter()
            .any(|entry| matches!(&entry.value, PropertyValue::Text(t) if t.starts_with("poison")));
        let outcome = match how {
            0 => failure(Class::Transient),
            1 => failure(Class::Throttled { retry_after: None }),
            _ if poisoned => failure(Class::Permanent),
            _ => {
                for entry in entries {
                    self.directory.insert((user, entry.property), entry.value);
                }
                Ok(applied())
            }
        };
        let settled = lanes.finished(user, outcome, at(self.now), 0.5);
        self.settle(settled);
    }

    fn settle(&mut self, settled: Vec<(Work<Message>, Outcome)>) {
        for (work, verdict) in settled {
            assert!(self.settled.insert(work.ticket.id, verdict).is_none(), "settled twice");
        }
    }

    /// What the directory must hold: the newest of the values that were not refused or handed back.
    fn check(mut self) {
        assert_eq!(self.settled.len(), self.arrived.len(), "a message has no verdict");
        for work in &self.arrived {
            if matches!(self.settled[&work.ticket.id], Outcome::Applied | Outcome::Stale) {
                for (property, value) in work.patch.iter() {
                    let register = self.expected.entry((work.user, property.clone())).or_default();
                    register.set(work.stamp, value.clone());
                }
            }
        }
        for (key, register) in &self.expected {
            assert_eq!(self.directory.get(key), register.newest().map(|(_, value)| value), "{key:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_happens_every_message_gets_one_verdict_and_the_newest_value_stands(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let (mut lanes, mut world) = (lanes(), World::default());
        for step in steps {
            match step {
                Event::Arrive { user, version, property, poison } => {
                    world.arrive(&mut lanes, user, version, property, poison);
                }
                Event::Start => world.start(&mut lanes),
                Event::Finish { which, how } => world.finish(&mut lanes, which, how),
                Event::Later => world.now += 1,
            }
            prop_assert!(lanes.in_flight() <= limits().concurrency);
        }
        for _ in 0..2_000 {
            world.now += 10;
            world.start(&mut lanes);
            world.finish(&mut lanes, 0, 9);
            if lanes.held() == 0 {
                break;
            }
        }
        prop_assert_eq!(lanes.held(), 0);
        world.check();
    }
}
