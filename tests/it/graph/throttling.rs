//! When Graph asks for time, everybody waits, and nobody pays for it.

use anyhow::Result;
use emulator::graph::{Entry, Fault, Page, RetryAfter, RetryAfterForm, Throttle};

use super::{ONE_BY_ONE, assert_tally, change, run, user, world};

/// Clocks of two processes and the way between them.
const TOLERANCE_MS: u64 = 15;

/// With a single try, a throttled write that were counted as one would be handed back.
const ONE_TRY: &str = "retry.tries = 1";

/// Five users change while Graph twice asks for time; it must get it, and all five must be written.
async fn check_waits(fault: Fault, at_least_ms: u64) -> Result<()> {
    let world = world(5).await?;
    world.graph.script(fault.clone().patches().after(1).times(2));
    let changes: Vec<_> = (1..=5).map(|number| change(number, 1).set("firstname", "Ada")).collect();
    let log = run(&world, &[ONE_BY_ONE, ONE_TRY], &changes).await?;
    assert_eq!(world.reasons()?, [""; 0], "{fault:?}: {log}");
    assert_tally(&log, "5 applied in 5 writes");
    assert_tally(&log, "0 returned for later");
    let calls = world.calls();
    let asked: Vec<_> = calls.iter().filter(|call| call.fault.is_some()).collect();
    assert_eq!((asked.len(), calls.len()), (2, 7), "{log}");
    for call in asked {
        assert_quiet(&calls, call, at_least_ms);
    }
    Ok(())
}

#[track_caller]
fn assert_quiet(calls: &[Entry], asked: &Entry, at_least_ms: u64) {
    let next = calls.iter().find(|call| call.number > asked.number).expect("it goes on");
    let waited = next.at_ms - asked.at_ms;
    assert!(waited + TOLERANCE_MS >= at_least_ms, "the next call came after {waited} ms");
}

fn throttled() -> Fault {
    Fault::status(429)
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_seconds_are_waited() -> Result<()> {
    check_waits(throttled().retry_after(RetryAfter::Seconds(1.0)), 1_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fractions_of_seconds_are_waited() -> Result<()> {
    check_waits(throttled().retry_after(RetryAfter::Seconds(0.4)), 400).await
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_are_waited_for() -> Result<()> {
    // A date has whole seconds only: two ahead is between one and two from now.
    check_waits(throttled().retry_after(RetryAfter::DateIn(2)), 1_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_the_pool_backs_off_by_itself() -> Result<()> {
    for fault in [throttled(), throttled().retry_after(RetryAfter::Text("soon".into())).body(Page::Html)] {
        // Half of the shortest wait is the least that jitter leaves.
        check_waits(fault, 5).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_service_that_names_a_time_gets_it() -> Result<()> {
    check_waits(Fault::status(503).retry_after(RetryAfter::Seconds(0.5)), 500).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_service_that_names_none_is_tried_again_with_backoff() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::status(503).patches().times(2));
    let log = run(&world, &["retry.tries = 3"], &[change(1, 1).set("firstname", "Ada")]).await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"), "{log}");
    assert_eq!(world.patches().len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_endpoint_may_ask_for_time_too() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::token_status(429).retry_after(RetryAfter::Seconds(0.2)).times(2));
    let log = run(&world, &[], &[change(1, 1).set("firstname", "Ada")]).await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"), "{log}");
    assert_eq!(world.reasons()?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_by_others_delays_changes_and_loses_none() -> Result<()> {
    let world = world(20).await?;
    for retry_after in [RetryAfterForm::Integer, RetryAfterForm::Fraction, RetryAfterForm::Date] {
        // Fifteen writes at once, then fifty a second, and somebody else has just taken the fifteen.
        world.graph.set_throttle(Throttle { writes: Some(15), retry_after, ..Throttle::real_quota(500.0) });
        world.graph.drain_app(emulator::graph::DEFAULT_CLIENT_ID, 15);
        let name = format!("{retry_after:?}");
        let changes: Vec<_> =
            (1..=20).map(|number| change(number, 1).set("firstname", name.clone())).collect();
        let log = run(&world, &[ONE_TRY], &changes).await?;
        assert_eq!(world.reasons()?, [""; 0], "{log}");
        assert_tally(&log, "20 applied in 20 writes");
        assert_tally(&log, "0 returned for later");
        for number in 1..=20 {
            assert_eq!(world.user(user(number))?.text("givenName"), Some(&*name));
        }
    }
    assert!(world.graph.counters().throttled >= 3, "the quota was never met");
    Ok(())
}
