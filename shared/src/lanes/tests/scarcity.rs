//! Cases in which more writes are owed than the budget has at hand.

use super::*;

fn change(id: usize, to: u8, version: i64) -> Work<Message> {
    work(id, to, version, &[("mail", "a")])
}

/// Whose write comes next, made at once.
fn next_user(lanes: &mut Lanes<Message>, now: MonotonicTime) -> Option<UserId> {
    let Step::Do(Action::Write { write, .. }) = lanes.next(now) else { return None };
    lanes.finished(write.user, Ok(applied()), now, 0.5);
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
    // Where several come at once, a moment shows whether more do.
    for (at_once, millis) in [(3, 0), (5, 20)] {
        let mut lanes = lanes_with(RateLimiter::new(1.0, 5.0));
        (0..at_once).for_each(|to| lanes.push(change(usize::from(to), to, 10 - i64::from(to)), at(0)));
        let now = MonotonicTime::after_start(Duration::from_millis(millis));
        let order: Vec<_> = std::iter::from_fn(|| next_user(&mut lanes, now)).collect();
        let expected: Vec<_> = (0..at_once).map(user).collect();
        assert_eq!(order, expected, "in the order in which they came");
    }
}

#[test]
fn what_one_read_of_a_flood_brings_waits_for_the_next_although_the_budget_is_enough_for_it() {
    let mut lanes = lanes_with(RateLimiter::new(20.0, 25.0));
    let millis = |millis| MonotonicTime::after_start(Duration::from_millis(millis));
    for read in 0..4_u64 {
        for to in 0..20 {
            let id = usize::try_from(read).expect("small") * 20 + usize::from(to);
            lanes.push(change(id, to, i64::try_from(read).expect("small")), millis(2 * read));
        }
        assert!(matches!(lanes.next(millis(2 * read)), Step::Wait(Some(_))), "read {read}");
    }
    let writes = std::iter::from_fn(|| next_user(&mut lanes, millis(26))).count();
    assert_eq!((writes, lanes.held()), (20, 0), "a write for each user");
}

#[test]
fn when_the_budget_is_short_the_newest_change_is_written_first() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 1.0));
    for (id, to, version) in [(1, 1, 10), (2, 2, 30), (3, 3, 20), (4, 1, 25)] {
        lanes.push(change(id, to, version), at(0));
    }
    let order: Vec<_> = (1..=3).filter_map(|second| next_user(&mut lanes, at(second))).collect();
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

#[test]
fn what_is_not_written_while_a_flood_is_gathered_is_written_when_it_is_over() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 2.0));
    lanes.locks_hold_for(Duration::from_mins(1));
    let tenths = |tenths| MonotonicTime::after_start(Duration::from_millis(100) * tenths);
    (0..3).for_each(|to| lanes.push(change(to.into(), to, 0), at(0)));
    for time in 0..90_u32 {
        let to = u8::try_from(time % 20).expect("small");
        lanes.push(change(usize::try_from(time).expect("small") + 3, to, time.into()), tenths(time));
        assert!(matches!(lanes.next(tenths(time)), Step::Wait(Some(_))), "still a flood at {time}");
    }
    let written = std::iter::from_fn(|| next_user(&mut lanes, at(10))).count();
    assert_eq!(written, 2 + 10, "the burst and what ten seconds bring");
}

#[test]
fn a_live_change_does_not_wait_for_a_flood_of_replayed_ones() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 2.0));
    (0..5).for_each(|to| lanes.push(replayed(change(to.into(), to, 0)), at(0)));
    assert!(matches!(lanes.next(at(0)), Step::Wait(Some(_))), "a flood");
    lanes.push(change(9, 9, 0), at(0));
    assert_eq!(next_user(&mut lanes, at(0)), Some(user(9)));
    assert_eq!(next_user(&mut lanes, at(0)), None, "the flood is still gathered");
}

#[test]
fn a_live_change_that_came_into_a_flood_goes_as_soon_as_the_budget_is_enough_for_it() {
    let mut lanes = lanes_with(RateLimiter::new(10.0, 1.0));
    lanes.push(change(9, 9, 0), at(0));
    assert_eq!(next_user(&mut lanes, at(0)), Some(user(9)), "what was at hand");
    (0..20).for_each(|to| lanes.push(replayed(change(to.into(), to, 0)), at(0)));
    lanes.push(change(30, 30, 0), at(0));
    let a_write_later = at(0) + Duration::from_millis(100);
    assert_eq!(lanes.next(at(0)), Step::Wait(Some(a_write_later)), "and not the end of the flood");
}

#[test]
fn where_there_is_no_room_for_the_rest_of_a_flood_the_fullest_lane_makes_some() {
    let mut lanes = lanes_with(RateLimiter::new(1.0, 2.0));
    for (id, to) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4)] {
        lanes.push(change(id, to, i64::try_from(id).expect("small")), at(0));
    }
    assert!(matches!(lanes.next(at(0)), Step::Wait(Some(_))), "a flood");
    lanes.crowded(true);
    assert_eq!(next_user(&mut lanes, at(0)), Some(user(2)), "three changes");
    assert_eq!(next_user(&mut lanes, at(0)), Some(user(3)), "two");
    lanes.crowded(false);
    assert_eq!(next_user(&mut lanes, at(1)), Some(user(4)), "the newest");
}
