//! The engine in many small worlds; `cargo simulate` runs as many more as one likes.

use tests::simulation::{Shape, simulate};

#[track_caller]
fn check(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        if let Err(broken) = simulate(Shape::of(seed), seed) {
            panic!("seed {seed}: {broken}\nsee it again: cargo simulate --schedules 1 --seed {seed}");
        }
    }
}

#[test]
fn random_worlds_keep_every_promise() {
    check(0..400);
}

#[test]
fn a_write_that_was_not_looked_at_is_not_remembered_when_its_message_is_given_back() {
    // In this world a pause gives a message back between its write and the look that would have shown that
    // another replica had undone it; then it comes to the same replica again.
    check(124_391..124_392);
    // Here another write of the user was under way meanwhile, and must not bring the memory back.
    check(585_323..585_324);
}

#[test]
fn replicas_that_undo_each_other_again_and_again_complete_no_message_meanwhile() {
    // Here one replica kept writing back what it had confirmed long ago, over what another one had written since,
    // and that one held its own for good after three repairs.
    check(314_903..314_904);
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..8 {
        assert_eq!(simulate(Shape::of(seed), seed), simulate(Shape::of(seed), seed));
    }
}

#[test]
fn without_the_guard_a_replica_that_forgets_lets_an_old_value_win() {
    // The simulation must be able to see what the guard is for.
    let unguarded = |seed| Shape { guard: false, verify: false, ..Shape::of(seed * 4 + 2) };
    let broken = (0..200).any(|seed| simulate(unguarded(seed), seed * 4 + 2).is_err());
    assert!(broken, "no world shows the fault that the guard prevents");
}

#[test]
fn without_the_second_look_replicas_that_cross_let_an_old_value_win() {
    let hasty = |seed| Shape { verify: false, ..Shape::of(seed * 4 + 3) };
    let broken = (0..200).any(|seed| simulate(hasty(seed), seed * 4 + 3).is_err());
    assert!(broken, "no world shows the fault that the second look mends");
}
