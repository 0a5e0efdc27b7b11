//! The engine in many small worlds; `cargo simulate` runs as many more as one likes.

use tests::simulation::{
    Broken, Fault, Guilt, Remedy, Shape, TableKind, TableReport, simulate, simulate_table,
};

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
    check(0..200);
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
    // In the last one a replica gives back a message and its copy at once, which came as one: twelve times, as each order of a
    // table is as likely as the other.
    for seed in (0..8).chain([724; 12]) {
        assert_eq!(simulate(Shape::of(seed), seed), simulate(Shape::of(seed), seed), "seed {seed}");
    }
}

#[test]
fn without_the_guard_a_replica_that_forgets_lets_an_old_value_win() {
    // The simulation must be able to see what the guard is for.
    let unguarded = |seed| Shape { guard: false, verify: false, ..Shape::without_lease(seed * 4 + 2) };
    let broken = (0..200).any(|seed| simulate(unguarded(seed), seed * 4 + 2).is_err());
    assert!(broken, "no world shows the fault that the guard prevents");
}

#[test]
fn without_the_second_look_replicas_that_cross_let_an_old_value_win() {
    let hasty = |seed| Shape { verify: false, ..Shape::without_lease(seed * 4 + 3) };
    let broken = (0..200).any(|seed| simulate(hasty(seed), seed * 4 + 3).is_err());
    assert!(broken, "no world shows the fault that the second look mends");
}

/// Whether some world of this kind breaks such a promise when a remedy is taken away, and none does with it.
#[track_caller]
fn check_remedy(remedy: Remedy, shape: impl Fn(Shape) -> Shape, breaks: fn(&Broken) -> bool) {
    // Alone and without crashes, so that nothing but the remedy makes the difference.
    let shaped = |seed, without| Shape { without, ..shape(Shape::without_lease(seed)) };
    let seeds = || (0..60).map(|seed| seed * 4 + 1);
    let found =
        seeds().any(|seed| simulate(shaped(seed, Some(remedy)), seed).is_err_and(|broken| breaks(&broken)));
    assert!(found, "no world shows the fault that {remedy:?} prevents");
    for seed in seeds() {
        if let Err(broken) = simulate(shaped(seed, None), seed) {
            panic!("seed {seed}, with {remedy:?}: {broken}");
        }
    }
}

#[test]
fn without_judging_refusals_a_fault_of_the_installation_costs_messages() {
    for fault in [Fault::Refused, Fault::Unknown, Fault::Property] {
        let shape = |shape| Shape { fault, guilty: 0, ..shape };
        check_remedy(Remedy::Judgement, shape, |broken| matches!(broken, Broken::DeadLettered(_)));
    }
}

#[test]
fn without_doubting_an_answer_the_page_of_a_portal_loses_changes_in_silence() {
    // Where every write is looked at again, the second look would find it out.
    let shape = |shape| Shape { fault: Fault::Portal, guilty: 0, guard: false, verify: false, ..shape };
    check_remedy(Remedy::Doubt, shape, |broken| matches!(broken, Broken::Value { .. }));
}

#[test]
fn without_remembering_copies_one_message_becomes_many() {
    let shape = |shape| Shape { guilt: Guilt::Fails, guilty: 3, detects: false, ..shape };
    check_remedy(Remedy::Memory, shape, |broken| matches!(broken, Broken::Multiplied(_)));
}

#[test]
fn without_heeding_the_time_changes_after_a_restore_are_stale() {
    let shape = |shape| Shape { restored: true, guilty: 0, ..shape };
    check_remedy(Remedy::Time, shape, |broken| matches!(broken, Broken::Value { .. }));
}

#[test]
fn without_renewing_locks_they_lapse_in_the_hands_of_replicas_that_live() {
    let shape = |shape| Shape { guilt: Guilt::Fails, guilty: 3, ..shape };
    check_remedy(Remedy::Renewal, shape, |broken| matches!(broken, Broken::LockLapsed(_)));
}

#[test]
fn replicas_with_a_lease_keep_every_promise_whatever_happens_to_it() {
    for seed in 0..24 {
        if let Err(broken) = simulate(Shape::with_lease(seed), seed) {
            panic!("seed {seed}: {broken}");
        }
    }
}

/// Whether some world of replicas with a lease breaks such a promise when a remedy is taken away; with it none does.
#[track_caller]
fn check_lease_remedy(remedy: Remedy) {
    let shape = |seed| Shape { without: Some(remedy), ..Shape::with_lease(seed) };
    let found = (0..400).any(|seed| {
        simulate(shape(seed), seed)
            .is_err_and(|broken| matches!(broken, Broken::TwoWriters(..) | Broken::Term(..)))
    });
    assert!(found, "no world shows the fault that {remedy:?} prevents");
}

#[test]
fn without_waiting_after_a_replica_that_said_no_goodbye_two_replicas_write() {
    check_lease_remedy(Remedy::Quiet);
}

#[test]
fn without_asking_the_lease_once_more_when_a_write_begins_two_replicas_write() {
    check_lease_remedy(Remedy::Fence);
}

#[test]
fn where_a_lost_session_can_be_renewed_two_replicas_write() {
    check_lease_remedy(Remedy::Session);
}

#[test]
fn what_is_held_aside_and_let_through_later_keeps_every_promise() {
    let mut held = 0;
    for seed in (0..40).map(|seed| seed * 12 + 3 + seed % 3) {
        match simulate(Shape::of(seed), seed) {
            Ok(report) => held += report.held_aside,
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    assert!(held > 100, "{held} were held aside");
}

#[test]
fn after_a_pass_every_user_is_as_his_contact_says_whatever_became_of_the_messages() {
    for seed in 0..200 {
        if let Err(broken) = simulate_table(Shape::with_table(seed), seed) {
            panic!(
                "seed {seed}: {broken}\nsee it again: cargo simulate --tables --schedules 1 --seed {seed}"
            );
        }
    }
}

/// Whether some world of contacts breaks such a promise when a pass is without a remedy.
#[track_caller]
fn check_pass_remedy(remedy: Remedy, breaks: fn(&Broken) -> bool) {
    let shape = |seed| Shape { without: Some(remedy), ..Shape::with_table(seed) };
    let found = (0..400).any(|seed| simulate_table(shape(seed), seed).is_err_and(|broken| breaks(&broken)));
    assert!(found, "no world shows the fault that {remedy:?} prevents");
}

#[test]
fn a_pass_that_does_not_take_over_the_time_of_the_mark_repairs_nobody_whose_mark_is_of_the_same_second() {
    check_pass_remedy(Remedy::MarkTime, |broken| matches!(broken, Broken::NoEnd(_)));
}

#[test]
fn a_pass_that_posts_rows_without_their_version_writes_old_values_over_newer_ones() {
    check_pass_remedy(Remedy::RowVersion, |broken| matches!(broken, Broken::Overwritten { .. }));
}

#[test]
fn a_pass_that_drops_a_page_leaves_differences() {
    check_pass_remedy(Remedy::Pages, |broken| matches!(broken, Broken::Value { .. }));
}

#[test]
fn a_pass_that_reads_rows_before_their_users_writes_old_values_over_newer_ones() {
    check_pass_remedy(Remedy::Order, |broken| matches!(broken, Broken::Overwritten { .. }));
}

/// The world of contacts of this seed, in which no rows are read.
fn unread(seed: u64) -> Shape {
    let shape = Shape::with_table(seed);
    Shape { table: shape.table.map(|kind| TableKind { reads: false, ..kind }), ..shape }
}

#[test]
fn where_rows_are_read_no_message_that_was_cut_is_a_dead_letter() {
    let reads = |seed: u64| {
        let shape = Shape::with_table(seed);
        Shape { table: shape.table.map(|kind| TableKind { reads: true, ..kind }), ..shape }
    };
    let mut sum = TableReport::default();
    for seed in 0..100 {
        match simulate_table(reads(seed), seed) {
            Ok(report) => sum += report,
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    assert!(sum.rows_read > 200 && sum.unanswered > 50, "{sum:?}");
}

#[test]
fn a_pass_repairs_what_a_replica_remembers_to_have_been_there_already() {
    // In this world a change was found needless, so that no mark shows it, and then somebody else changed the user: the row,
    // whose time is told by the second, looked older than the message that the replica remembered.
    simulate_table(unread(13_548), 13_548).expect("every promise is kept");
}

#[test]
fn a_pass_repairs_a_user_whose_mark_does_not_show_the_row_version_that_a_replica_remembers() {
    // Messages carry no row version, and a repair of the contact that had the user before did.
    simulate_table(unread(16_750), 16_750).expect("every promise is kept");
    // A message of that contact was found needless.
    simulate_table(unread(78_384), 78_384).expect("every promise is kept");
}
