//! Cases in which more writes are owed than the budget has at hand.

use super::*;

fn change(id: usize, to: u8, version: i64) -> Work<Message> {
    work(id, to, version, &[("mail", "a")])
}

/// Whose write comes next, made at once.
fn next_user(lanes: &mut Lanes<Message>, now: u64) -> Option<UserId> {
    let Step::Do(Action::Write { write, .. }) = lanes.next(at(now)) else { return None };
    lanes.finished(write.user, Ok(applied()), at(now), 0.5);
    Some(write.user)
}

#[test]
fn changes_that_pour_in_are_gathered_before_the_budget_is_spent_on_them() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 2.0));
    for round in 0..3 {
        for to in 0..5 {
            lanes.push(change(usize::from(to) + 5 * round, to, i64::try_from(round).expect("small")), at(0));
        }
        let expected = if round == 0 { "a flood" } else { "still a flood" };
        assert!(matches!(lanes.next(at(0)), Step::Wait(Some(_))), "{expected}");
    }
    let Step::Do(Action::Write { changes, .. }) = lanes.next(at(1)) else { panic!("the flood is over") };
    assert_eq!(changes, 3);
}

#[test]
fn nobody_is_made_to_wait_while_the_budget_lasts_for_everybody() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 5.0));
    (0..5).for_each(|to| lanes.push(change(usize::from(to), to, 10 - i64::from(to)), at(0)));
    let order: Vec<_> = std::iter::from_fn(|| next_user(&mut lanes, 0)).collect();
    assert_eq!(order, [0, 1, 2, 3, 4].map(user), "in the order in which they came");
}

#[test]
fn when_the_budget_is_short_the_newest_change_is_written_first() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 1.0));
    for (id, to, version) in [(1, 1, 10), (2, 2, 30), (3, 3, 20), (4, 1, 25)] {
        lanes.push(change(id, to, version), at(0));
    }
    let order: Vec<_> = (1..=3).filter_map(|second| next_user(&mut lanes, second)).collect();
    assert_eq!(order, [2, 1, 3].map(user));
}

#[test]
fn a_write_that_was_not_needed_leaves_its_share_of_the_budget_to_others() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 1.0));
    (1..=3).for_each(|to| lanes.push(change(usize::from(to), to, i64::from(to)), at(0)));
    for to in [3, 2] {
        let Step::Do(Action::Write { write, .. }) = lanes.next(at(1)) else { panic!("a write") };
        assert_eq!(write.user, user(to));
        let outcome = Success { written: false, superseded: vec![property("mail")], ..Success::default() };
        let settled = lanes.finished(write.user, Ok(outcome), at(1), 0.5);
        assert_eq!(verdicts(&settled), [(usize::from(to), &Outcome::Stale)]);
    }
    assert!(matches!(lanes.next(at(1)), Step::Do(Action::Write { .. })), "the third in the same second");
}
