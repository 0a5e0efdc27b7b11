//! Cases of the second look.

use super::*;

fn looking_lanes(limits: LaneLimits) -> Lanes<Message> {
    let mut lanes = lanes();
    lanes.limits = LaneLimits { verify_after: Some(Duration::from_secs(5)), ..limits };
    lanes.applied = Applied::new(limits.remembered_users);
    lanes
}

fn change(id: usize, to: u8, property: &str) -> Work<Message> {
    work(id, to, 10, &[(property, "Ada")])
}

/// Takes a change in, and writes it.
fn written(lanes: &mut Lanes<Message>, change: Work<Message>, now: u64) {
    let user = change.user;
    lanes.push(change, at(now));
    assert!(matches!(lanes.next(at(now)), Step::Do(Action::Write { .. })), "a write");
    assert_eq!(lanes.finished(user, Ok(applied()), at(now), 0.5), [], "nothing is settled before the look");
}

#[track_caller]
fn expect_look(next: Step<Action<Message>>, to: u8, properties: &[&str]) {
    let Step::Do(Action::Verify(write)) = next else { panic!("{next:?} is no look") };
    let entries: Vec<_> = write.entries.iter().map(|entry| entry.property.name()).collect();
    assert_eq!((write.user, &entries[..]), (user(to), properties));
}

#[test]
fn what_was_given_back_before_its_second_look_is_written_again() {
    let mut lanes = looking_lanes(limits());
    let change = || change(1, 1, "givenName");
    written(&mut lanes, change(), 0);
    assert_eq!(lanes.release_waiting(), [(change(), Outcome::Released)]);
    // Another replica may have undone it meanwhile, so that it was written is no reason to leave it out.
    lanes.push(change(), at(0));
    assert!(matches!(lanes.next(at(1)), Step::Do(Action::Write { .. })));
}

#[test]
fn what_a_look_has_confirmed_is_not_looked_at_again_and_so_never_written_over_what_came_later() {
    let mut lanes = looking_lanes(limits());
    written(&mut lanes, change(1, 1, "mail"), 0);
    expect_look(lanes.next(at(5)), 1, &["mail"]);
    let confirmed = lanes.verified(user(1), Ok(Vec::new()), at(5), 0.5);
    assert_eq!(verdicts(&confirmed), [(1, &Outcome::Applied)]);
    written(&mut lanes, change(2, 1, "surname"), 6);
    expect_look(lanes.next(at(11)), 1, &["surname"]);
}

#[test]
fn a_look_is_made_also_when_the_memory_of_the_user_is_full() {
    let mut lanes = looking_lanes(LaneLimits { remembered_users: NonZeroUsize::MIN, ..limits() });
    written(&mut lanes, change(1, 1, "mail"), 0);
    written(&mut lanes, change(2, 2, "mail"), 1);
    expect_look(lanes.next(at(5)), 1, &["mail"]);
}

#[test]
fn a_message_whose_lock_is_lost_leaves_the_look_behind() {
    let mut lanes = looking_lanes(limits());
    written(&mut lanes, change(1, 1, "mail"), 0);
    assert_eq!(lanes.withdraw(user(1), |_| true), [change(1, 1, "mail")]);
    // Delivered again, it waits for the look instead of being settled by what is remembered.
    lanes.push(change(1, 1, "mail"), at(0));
    assert_eq!(lanes.next(at(1)), Step::Do(Action::Settle(Vec::new())));
    expect_look(lanes.next(at(5)), 1, &["mail"]);
    let settled = lanes.verified(user(1), Ok(Vec::new()), at(5), 0.5);
    assert_eq!(verdicts(&settled), [(1, &Outcome::Stale)]);
}

#[test]
fn what_is_undone_again_and_again_is_tried_at_another_time_and_never_called_done() {
    for (deadline, dies) in [(at(3600), false), (at(1), true)] {
        let mut lanes = looking_lanes(limits());
        let change = || Work { deadline, ..change(1, 1, "mail") };
        written(&mut lanes, change(), 0);
        let (mut now, mut repairs) = (5, 0);
        let ended = loop {
            expect_look(lanes.next(at(now)), 1, &["mail"]);
            let ended = lanes.verified(user(1), Ok(vec![property("mail")]), at(now), 0.5);
            if !ended.is_empty() {
                break ended;
            }
            expect_write(lanes.next(at(now)), 1, &[("mail", "Ada")], 0);
            assert_eq!(lanes.finished(user(1), Ok(applied()), at(now), 0.5), []);
            (now, repairs) = (now + 5, repairs + 1);
        };
        assert_eq!((repairs, lanes.held()), (3, 0));
        match &ended[..] {
            [(_, Outcome::Returned(cause))] if !dies => {
                assert!(cause.description.as_str().contains("find out what else writes"), "{cause:?}");
            }
            [(_, Outcome::DeadLettered(letter))] if dies => {
                assert_eq!(letter.reason, DeadLetterReason::RetryBudgetExhausted);
            }
            other => panic!("{other:?}"),
        }
        lanes.push(change(), at(0));
        assert!(matches!(lanes.next(at(now)), Step::Do(Action::Write { .. })), "nothing is remembered of it");
    }
}

#[test]
fn looks_go_on_while_writes_wait_for_the_budget() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 1.0));
    lanes.limits = LaneLimits { verify_after: Some(Duration::ZERO), messages: 1, ..limits() };
    written(&mut lanes, change(1, 1, "mail"), 0);
    lanes.push(change(2, 2, "mail"), at(0));
    expect_look(lanes.next(at(0)), 1, &["mail"]);
    assert_eq!(lanes.next(at(0)), Step::Wait(Some(at(1))), "nothing is left of the budget");
}

#[test]
fn a_look_that_another_write_is_in_the_way_of_waits_also_when_no_rival_is_left() {
    let mut lanes = lanes();
    lanes.set_rival(at(5));
    written(&mut lanes, change(1, 1, "mail"), 0);
    lanes.push(change(2, 1, "surname"), at(9));
    assert!(matches!(lanes.next(at(9)), Step::Do(Action::Write { .. })));
    // The look is due, and the other write is still under way.
    let Step::Wait(Some(until)) = lanes.next(at(11)) else { panic!("nothing can be done yet") };
    assert!(until > at(11));
}

#[test]
fn what_is_written_beside_a_rivals_last_calls_is_looked_at_when_they_have_ended() {
    for (written_at, looked_at) in [(11, 40), (35, 45), (45, 55)] {
        let mut lanes = lanes();
        lanes.set_rival(at(40));
        written(&mut lanes, change(1, 1, "mail"), written_at);
        let waits = lanes.next(at(written_at));
        assert_eq!(waits, Step::Wait(Some(at(looked_at))), "written at {written_at}");
    }
}

#[test]
fn what_was_repaired_is_looked_at_again_also_when_no_rival_is_left() {
    let mut lanes = lanes();
    lanes.set_rival(at(5));
    written(&mut lanes, change(1, 1, "mail"), 0);
    expect_look(lanes.next(at(10)), 1, &["mail"]);
    assert_eq!(lanes.verified(user(1), Ok(vec![property("mail")]), at(14), 0.5), []);
    expect_write(lanes.next(at(14)), 1, &[("mail", "Ada")], 0);
    // Nobody but this replica writes any more, and still the message waits for a look.
    assert_eq!(lanes.finished(user(1), Ok(applied()), at(16), 0.5), []);
    expect_look(lanes.next(at(26)), 1, &["mail"]);
    let settled = lanes.verified(user(1), Ok(Vec::new()), at(26), 0.5);
    assert_eq!(verdicts(&settled), [(1, &Outcome::Applied)]);
}

#[test]
fn a_repair_that_is_refused_is_followed_by_another_look() {
    let mut lanes = looking_lanes(limits());
    written(&mut lanes, change(1, 1, "mail"), 0);
    expect_look(lanes.next(at(5)), 1, &["mail"]);
    assert_eq!(lanes.verified(user(1), Ok(vec![property("mail")]), at(5), 0.5), []);
    expect_write(lanes.next(at(5)), 1, &[("mail", "Ada")], 0);
    let suspicion = Some(Suspicion { kind: "400".into(), about: About::Values });
    let refused = failure(Class::Permanent).map_err(|failure| Failure { suspicion, ..failure });
    assert_eq!(lanes.finished(user(1), refused, at(5), 0.5), []);
    assert_eq!((lanes.in_flight(), lanes.waiting_lanes()), (0, 0));
    expect_look(lanes.next(at(10)), 1, &["mail"]);
    let settled = lanes.verified(user(1), Ok(Vec::new()), at(10), 0.5);
    assert_eq!(verdicts(&settled), [(1, &Outcome::Applied)]);
}

#[test]
fn a_write_that_ends_when_nobody_is_sure_who_writes_is_settled_by_a_look_after_that_alone() {
    let mut lanes = lanes();
    lanes.push(change(1, 1, "mail"), at(0));
    assert!(matches!(lanes.next(at(0)), Step::Do(Action::Write { .. })), "a write");
    lanes.set_writer(false);
    assert_eq!(lanes.finished(user(1), Ok(applied()), at(1), 0.5), [], "another one may undo it");
    assert_eq!(lanes.next(at(60)), Step::Wait(None), "and later than a look");
    lanes.set_writer(true);
    expect_look(lanes.next(at(60)), 1, &["mail"]);
    lanes.set_writer(false);
    assert_eq!(lanes.verified(user(1), Ok(Vec::new()), at(61), 0.5), [], "unsure again");
    lanes.set_writer(true);
    expect_look(lanes.next(at(71)), 1, &["mail"]);
    let settled = lanes.verified(user(1), Ok(Vec::new()), at(72), 0.5);
    assert_eq!((verdicts(&settled), lanes.held()), (vec![(1, &Outcome::Applied)], 0));
    // A write of a replica that is sure costs no look.
    lanes.push(change(2, 2, "mail"), at(73));
    assert!(matches!(lanes.next(at(73)), Step::Do(Action::Write { .. })), "a write");
    assert_eq!(verdicts(&lanes.finished(user(2), Ok(applied()), at(74), 0.5)), [(2, &Outcome::Applied)]);
}
