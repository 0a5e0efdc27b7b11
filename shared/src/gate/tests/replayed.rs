//! Writes of replayed changes that Graph asked to wait.

use super::*;

#[test]
fn after_a_refusal_one_at_a_time_finds_out_whether_there_is_room_again() {
    let mut gate = gate();
    // Those that were under way together.
    for _ in 0..3 {
        gate.replayed_throttled(Some(Duration::from_secs(5)), at(0), 0.0);
    }
    assert_eq!(gate.may_replay(at(4)), Permit::At(at(5)));
    assert_eq!(gate.ask(at(4)), Permit::Now, "others go on");
    assert_eq!(gate.may_replay(at(5)), Permit::Now);
    gate.replays(user(1));
    assert_eq!(gate.may_replay(at(6)), Permit::AfterProbe);
    gate.replay_ended(user(2), true);
    assert_eq!(gate.may_replay(at(6)), Permit::AfterProbe, "one that was under way before shows nothing");
    gate.replayed_throttled(Some(Duration::from_secs(2)), at(6), 0.0);
    assert_eq!(gate.may_replay(at(7)), Permit::At(at(8)));
    gate.replays(user(1));
    gate.replay_ended(user(1), false);
    assert_eq!(
        gate.may_replay(at(8)),
        Permit::Now,
        "what was not written shows nothing, and holds nobody back"
    );
    gate.replays(user(3));
    assert_eq!(gate.may_replay(at(9)), Permit::AfterProbe);
    gate.replay_ended(user(3), true);
    gate.replays(user(4));
    assert_eq!(gate.may_replay(at(9)), Permit::Now, "there is room for all");
}

#[test]
fn calls_that_were_given_up_hold_no_replayed_write_back() {
    let mut gate = gate();
    gate.replayed_throttled(Some(Duration::from_secs(1)), at(0), 0.0);
    gate.replays(user(1));
    assert_eq!(gate.without_calls().may_replay(at(1)), Permit::Now);
}
