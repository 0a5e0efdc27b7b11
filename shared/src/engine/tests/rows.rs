//! Messages for which rows of Dataverse are read.

use std::collections::BTreeSet;

use super::*;
use crate::{
    change::{Change, ChangeOrigin, Columns, Operation},
    lease::Role,
    plan::{ReadCause, RowAnswer, RowId},
};

const LINGER: Duration = Duration::from_millis(250);

fn row(n: u128) -> RowId {
    RowId { organization: None, contact: ContactId(Uuid::from_u128(n)) }
}

fn wanted(n: u128) -> WantedRow {
    WantedRow { row: row(n), cause: ReadCause::Truncated }
}

fn reading(n: u128, rows: &[u128]) -> Arrival<LockToken> {
    Arrival { intake: Intake::Read(rows.iter().copied().map(wanted).collect()), ..arrival(n, &[]) }
}

fn roomy() -> Engine<LockToken> {
    let policy = policy(RateLimiter::unlimited());
    let lanes = lanes::LaneLimits { messages: 10_000, ..policy.lanes };
    Engine::new(EnginePolicy { bytes: 100 << 20, lanes, read_back: true, ..policy })
}

/// The question that is asked now, if one is.
fn asked(engine: &mut Engine<LockToken>, now: MonotonicTime) -> Option<(u64, Vec<u128>)> {
    let mut effects = effects(engine, now).into_iter().filter_map(|effect| match effect {
        Effect::Read { batch, rows } => {
            Some((batch, rows.iter().map(|wanted| wanted.row.contact.0.as_u128()).collect()))
        }
        _ => None,
    });
    let asked = effects.next();
    assert!(effects.next().is_none(), "one at a time in these cases");
    asked
}

fn shown(n: u128) -> (RowId, RowAnswer) {
    let change = Change {
        organization: None,
        contact: row(n).contact,
        operation: Operation::Update,
        version: None,
        columns: Columns::default(),
        before: Columns::default(),
        after: Columns::default(),
        imaged: true,
        truncated: false,
        origin: ChangeOrigin::default(),
    };
    (row(n), RowAnswer::Shown { change: Box::new(change), read: Timestamp::UNIX_EPOCH })
}

fn answers(rows: impl IntoIterator<Item = u128>) -> RowAnswers {
    RowAnswers { rows: rows.into_iter().map(shown).collect(), ..RowAnswers::default() }
}

fn away(retry_after: Option<u64>) -> RowAnswers {
    let failure = ReadFailure { retry_after: retry_after.map(Duration::from_secs), text: "in a test".into() };
    RowAnswers { failure: Some(failure), ..RowAnswers::default() }
}

#[test]
fn rows_are_gathered_for_a_moment_and_asked_for_together_each_once() {
    let mut engine = roomy();
    engine.arrived(reading(1, &[1]), at(0));
    engine.arrived(reading(2, &[2, 1, 2]), at(0));
    let (next, until) = effects_until(&mut engine, at(0));
    assert_eq!((next, until), (vec![], Some(at(0) + LINGER)));
    let now = at(0) + LINGER;
    assert_eq!(asked(&mut engine, now), Some((1, vec![1, 2])));
    // Read before this change, the row may not hold it.
    engine.arrived(reading(3, &[1]), now);
    let ready = engine.rows_read(1, answers([1, 2]), now, 0.5);
    assert_eq!(ready, [lock(1), lock(2)]);
    assert!(engine.rows(lock(1)).get(row(1)).is_some() && engine.rows(lock(1)).get(row(2)).is_none());
    engine.replanned(lock(1), arrival(1, &[1]).intake, now, 0.5);
    let needless = Outcome::Unchanged(SkipReason::ContactGone);
    engine.replanned(lock(2), Intake::Settle(needless.clone()), now, 0.5);
    let next = effects(&mut engine, now);
    assert_eq!(settled(&next), [(lock(2), needless)]);
    assert!(matches!(&next[..], [.., Effect::Write { .. }] | [Effect::Write { .. }, ..]), "{next:?}");
    engine.write_ended(user(1), Ok(written()), now, 0.5);
    assert_eq!(settled(&effects(&mut engine, now)), [(lock(1), Outcome::Applied)]);
    assert_eq!(asked(&mut engine, now + LINGER), Some((2, vec![1])));
    let unknown = RowAnswers { rows: vec![(row(1), RowAnswer::Unknown)], ..RowAnswers::default() };
    engine.rows_read(2, unknown, at(1), 0.5);
    engine.replanned(lock(3), Intake::Settle(Outcome::Stale), at(1), 0.5);
    assert_eq!(settled(&effects(&mut engine, at(1))), [(lock(3), Outcome::Stale)]);
    assert!(engine.is_idle());
}

#[test]
fn many_are_asked_for_a_hundred_at_a_time_and_two_questions_at_once() {
    let mut engine = roomy();
    for n in 1..=300 {
        engine.arrived(reading(n, &[n]), at(0));
    }
    let batches: Vec<_> = effects(&mut engine, at(0))
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Read { batch, rows } => Some((batch, rows.len())),
            _ => None,
        })
        .collect();
    assert_eq!(batches, [(1, 100), (2, 100)], "at once, because they are full");
    let ready = engine.rows_read(1, answers(1..=100), at(0), 0.5);
    assert_eq!(ready.len(), 100);
    assert_eq!(asked(&mut engine, at(0)).map(|(batch, rows)| (batch, rows.len())), Some((3, 100)));
}

#[test]
fn a_row_that_is_refused_sends_its_messages_back_and_slows_nobody() {
    let mut engine = roomy();
    let old = Arrival { age: Duration::from_hours(100), ..reading(3, &[9]) };
    for arrival in [reading(1, &[1]), reading(2, &[2, 9]), old] {
        engine.arrived(arrival, at(0));
    }
    let now = at(0) + LINGER;
    assert_eq!(asked(&mut engine, now), Some((1, vec![1, 2, 9])));
    let refused = vec![(row(9), "dataverse answered 403".into())];
    let ready = engine.rows_read(1, RowAnswers { refused, ..answers([1, 2]) }, now, 0.5);
    assert_eq!((ready, engine.unread()), (vec![lock(1)], None));
    engine.replanned(lock(1), Intake::Settle(Outcome::Stale), now, 0.5);
    let ended = settled(&effects(&mut engine, now));
    let [(first, Outcome::Returned(letter)), (second, Outcome::DeadLettered(last)), (third, Outcome::Stale)] =
        &ended[..]
    else {
        panic!("{ended:?}")
    };
    assert_eq!((*first, *second, *third), (lock(2), lock(3), lock(1)));
    for letter in [letter, last] {
        assert_eq!(letter.reason, DeadLetterReason::RetryBudgetExhausted);
        assert!(letter.description.as_str().contains("dataverse answered 403"), "{letter:?}");
    }
    assert!(last.description.as_str().starts_with("retried until its time was over"), "{last:?}");
    // The next question is asked as soon as if nothing had been.
    engine.arrived(reading(4, &[4]), now);
    assert_eq!(asked(&mut engine, now + LINGER), Some((2, vec![4])));
}

#[test]
fn while_rows_cannot_be_read_their_messages_wait_and_others_go_on() {
    let mut engine = roomy();
    for n in 1..=250 {
        engine.arrived(reading(n, &[n]), at(0));
    }
    let (now, later) = (at(1), at(400));
    effects(&mut engine, now);
    for batch in [1, 2] {
        assert_eq!(engine.rows_read(batch, away(Some(30)), now, 0.5), []);
    }
    assert_eq!(engine.unread(), Some("in a test"));
    let returned = settled(&effects(&mut engine, now));
    assert_eq!(returned.len(), 50, "more are handed back than wait");
    assert!(
        returned
            .iter()
            .all(|(lock, outcome)| { matches!(outcome, Outcome::Returned(_)) && lock.0.as_u128() > 200 })
    );
    // One question at a time, and not before Dataverse wants it.
    assert_eq!((asked(&mut engine, at(30)), engine.reading()), (None, 200));
    assert!(engine.credit(now) >= 500, "room for others");
    engine.arrived(arrival(1_000, &[1_000]), now);
    assert!(matches!(&effects(&mut engine, now)[..], [Effect::Write { .. }]));
    engine.write_ended(user(1_000), Ok(written()), now, 0.5);
    assert_eq!(settled(&effects(&mut engine, now)), [(lock(1_000), Outcome::Applied)]);
    let (batch, rows) = asked(&mut engine, later).expect("asked again");
    assert_eq!(rows, (1..=100).collect::<Vec<_>>(), "those that came first before others");
    engine.rows_read(batch, answers(1..=100), later, 0.5);
    assert_eq!(engine.unread(), None);
    assert!(asked(&mut engine, later).is_some(), "and then as usual");
}

#[test]
fn one_message_is_tried_after_a_pause_though_others_wait_for_rows() {
    let mut engine = roomy();
    engine.arrived(reading(1, &[1]), at(0));
    let (batch, _) = asked(&mut engine, at(1)).expect("asked");
    engine.rows_read(batch, away(None), at(1), 0.5);
    engine.arrived(arrival(2, &[2]), at(1));
    effects(&mut engine, at(1));
    engine.write_ended(user(2), failure(Class::Installation), at(1), 0.5);
    assert_eq!(engine.reading(), 0, "a pause gives everything back");
    let until = at(2_000);
    let probe = effects(&mut engine, until);
    assert!(probe.contains(&Effect::Probe), "{probe:?}");
    engine.probed(true, until, 0.5);
    assert_eq!(engine.credit(until), 1);
    engine.arrived(reading(3, &[3]), until);
    assert_eq!(engine.credit(until), 1, "what waits for its row says nothing about Graph");
}

#[test]
fn a_user_who_is_unknown_is_looked_for_in_the_row_once() {
    for (names, expected) in [(2, "applied"), (1, "dead_lettered")] {
        let mut engine = roomy();
        engine.arrived(arrival(1, &[1]), at(0));
        effects(&mut engine, at(0));
        let dead_letter = DeadLetter::new(DeadLetterReason::UserNotFound, "in a test");
        let gone =
            |class| Err(Failure { class, dead_letter: dead_letter.clone(), grace: None, suspicion: None });
        engine.write_ended(user(1), gone(Class::Permanent), at(0), 0.5);
        let (batch, rows) = asked(&mut engine, at(1)).expect("the row is asked for");
        assert_eq!(rows, [1]);
        assert_eq!(engine.rows_read(batch, answers([1]), at(1), 0.5), [lock(1)]);
        engine.replanned(lock(1), arrival(1, &[names]).intake, at(1), 0.5);
        let next = effects(&mut engine, at(1));
        let ended = if names == 1 {
            settled(&next)
        } else {
            assert!(matches!(&next[..], [Effect::Write { write, .. }] if write.user == user(2)), "{next:?}");
            engine.write_ended(user(2), Ok(written()), at(1), 0.5);
            settled(&effects(&mut engine, at(1)))
        };
        let [(_, outcome)] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!(outcome.as_str(), expected);
        assert!(engine.is_idle());
    }
    let mut engine = engine();
    engine.arrived(arrival(1, &[1]), at(0));
    effects(&mut engine, at(0));
    let dead_letter = DeadLetter::new(DeadLetterReason::UserNotFound, "in a test");
    let gone = Err(Failure { class: Class::Permanent, dead_letter, grace: None, suspicion: None });
    engine.write_ended(user(1), gone, at(0), 0.5);
    let ended = settled(&effects(&mut engine, at(0)));
    assert!(matches!(&ended[..], [(_, Outcome::DeadLettered(_))]), "{ended:?}");
}

#[test]
fn a_row_that_stays_older_than_its_message_is_handed_back() {
    let mut engine = roomy();
    engine.arrived(reading(1, &[1]), at(0));
    for second in 1..=4 {
        let now = at(second * 10);
        let (batch, _) = asked(&mut engine, now).expect("asked");
        engine.rows_read(batch, answers([1]), now, 0.5);
        engine.replanned(lock(1), Intake::Read(vec![wanted(1)]), now, 0.5);
    }
    let ended = settled(&effects(&mut engine, at(50)));
    assert!(matches!(&ended[..], [(_, Outcome::Returned(_))]), "{ended:?}");
}

#[test]
fn who_stops_or_writes_no_more_gives_back_what_waits() {
    let mut engine = roomy();
    engine.arrived(reading(1, &[1]), at(0));
    engine.arrived(reading(2, &[2]), at(0));
    engine.stop(at(0));
    let released = [1, 2].map(|n| (lock(n), Outcome::Released));
    assert_eq!(settled(&effects(&mut engine, at(0))), released);
    assert_eq!(asked(&mut engine, at(5)), None);
    let mut engine = roomy();
    engine.arrived(reading(1, &[1]), at(0));
    let (batch, _) = asked(&mut engine, at(1)).expect("asked");
    engine.set_role(Role::Standby);
    engine.abandon();
    assert_eq!(settled(&effects(&mut engine, at(1))), [(lock(1), Outcome::Released)]);
    assert_eq!(engine.rows_read(batch, answers([1]), at(1), 0.5), [], "nobody waits for it any more");
    assert!(engine.is_idle());
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A message comes that wants these rows.
    Comes(u8, u8),
    /// The oldest question is answered, in part or not at all.
    Answered(u8),
    Lost(u8),
    Passes(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..6_u8, 0..6_u8).prop_map(|(a, b)| Event::Comes(a, b)),
        (0..4_u8).prop_map(Event::Answered),
        (0..20_u8).prop_map(Event::Lost),
        (1..2_000_u16).prop_map(Event::Passes),
    ]
}

proptest! {
    /// Every message is settled once or its lock is lost; no row is asked for that nobody waits for; and no message is planned
    /// by an answer to a question from before it came.
    #[test]
    fn every_message_gets_all_of_its_rows_by_questions_from_after_it_came(
        events in proptest::collection::vec(event(), 1..80),
    ) {
        let mut engine = roomy();
        let (mut now, mut count) = (at(1), 0_u128);
        let (mut open, mut begun) = (Vec::<(u64, Vec<u128>)>::new(), std::collections::HashMap::new());
        let (mut came, mut ended) = (std::collections::HashMap::new(), BTreeSet::new());
        let drain = [Event::Passes(60_000), Event::Answered(3)].into_iter().cycle().take(200);
        for (step, event) in events.into_iter().chain(drain).enumerate() {
            match event {
                Event::Comes(a, b) => {
                    count += 1;
                    came.insert(lock(count), (step, vec![u128::from(a), u128::from(b)]));
                    engine.arrived(reading(count, &[u128::from(a), u128::from(b)]), now);
                }
                Event::Answered(how) if !open.is_empty() => {
                    let (batch, rows) = open.remove(0);
                    let result = match how {
                        0 => away(None),
                        1 => RowAnswers { failure: away(None).failure, ..answers(rows.iter().skip(1).copied()) },
                        2 => answers(rows.iter().skip(1).copied()),
                        _ => answers(rows.iter().copied()),
                    };
                    for ready in engine.rows_read(batch, result, now, 0.5) {
                        let (since, rows) = &came[&ready];
                        prop_assert!(begun[&batch] >= *since);
                        for n in rows {
                            prop_assert!(engine.rows(ready).get(row(*n)).is_some());
                        }
                        engine.replanned(ready, Intake::Settle(Outcome::Stale), now, 0.5);
                    }
                }
                Event::Lost(n) => engine.lock_lost(lock(u128::from(n)), now),
                Event::Passes(millis) => now = now + Duration::from_millis(u64::from(millis)),
                Event::Answered(_) => {}
            }
            for effect in effects(&mut engine, now) {
                match effect {
                    Effect::Read { batch, rows } => {
                        let rows: Vec<_> = rows.iter().map(|wanted| wanted.row.contact.0.as_u128()).collect();
                        let distinct: BTreeSet<_> = rows.iter().collect();
                        prop_assert!(!rows.is_empty() && distinct.len() == rows.len());
                        for n in &rows {
                            let waits = came.iter().any(|(lock, (_, rows))| {
                                !ended.contains(lock) && rows.contains(n)
                            });
                            prop_assert!(waits, "nobody waits for {n}");
                        }
                        begun.insert(batch, step);
                        open.push((batch, rows));
                    }
                    Effect::Settle { message, .. } => prop_assert!(ended.insert(message), "settled twice"),
                    other => prop_assert!(matches!(other, Effect::Renew(_)), "{other:?}"),
                }
            }
        }
        prop_assert_eq!(ended.len(), came.len());
        prop_assert!(engine.is_idle());
    }
}
