//! The lease in worlds that a seed decides, and case by case.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "times of a few minutes in microseconds"
)]

mod broker;
mod cases;
mod goodbyes;
mod machine;
mod records;
mod world;

use std::time::Duration;

use self::world::{Twist, World};
use super::*;

fn violation(seeds: std::ops::Range<u64>, twist: Twist) -> Option<(u64, String)> {
    seeds.into_iter().find_map(|seed| Some((seed, World::new(seed, twist, false).run().err()?)))
}

fn check(seeds: std::ops::Range<u64>, twist: Twist) {
    if let Some((seed, why)) = violation(seeds, twist) {
        // Once more, to tell how it came to that.
        let mut world = World::new(seed, twist, true);
        assert_eq!(world.run().as_ref(), Err(&why), "a seed decides everything");
        let trace = world.trace.unwrap_or_default();
        panic!("{}\nseed {seed} of {twist:?}: {why}", trace.join("\n"));
    }
}

#[test]
fn no_two_replicas_start_writes_at_the_same_time_and_somebody_writes_soon() {
    check(0..1_000, Twist::None);
}

#[test]
fn worlds_are_eventful() {
    let (mut unclean, mut resumed, mut lost, mut terms) = (0, 0, 0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed, Twist::None, false);
        assert_eq!(world.run(), Ok(()));
        unclean += world.unclean;
        resumed += world.resumed;
        lost += world.lost;
        terms = terms.max(world.terms);
    }
    let seen = (unclean, resumed, lost, terms);
    assert!(unclean >= 70 && resumed >= 30 && lost >= 60 && terms >= 4, "{seen:?}");
}

#[test]
fn without_faults_everybody_says_goodbye_and_nobody_waits() {
    check(0..300, Twist::Peace);
}

#[test]
fn the_world_notices_what_would_be_wrong() {
    for twist in [Twist::NoFence, Twist::NoQuiet, Twist::BrokerRenewsForAnybody] {
        let found = violation(0..1_000, twist);
        assert!(found.is_some(), "{twist:?} harms nobody");
    }
}
