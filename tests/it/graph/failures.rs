//! Failures that pass, and those that do not.

use std::time::Duration;

use anyhow::Result;
use emulator::graph::{Fault, Page, User};
use serde_json::json;

use super::{ONE_BY_ONE, PATIENCE, assert_tally, change, run, start, user, world};

/// The first PATCH meets this fault; the change must arrive all the same, by exactly so many `PATCH`es.
async fn check_overcome(fault: Fault, patches: usize) -> Result<()> {
    let world = world(1).await?;
    world.graph.script(fault.clone().patches());
    let log = run(&world, &[], &[change(1, 1).set("firstname", "Ada")]).await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"), "{fault:?}");
    assert_eq!(world.reasons()?, [""; 0], "{fault:?}: {log}");
    assert_eq!(world.patches().len(), patches, "{fault:?}: {log}");
    assert_tally(&log, "1 applied in 1 writes");
    assert_tally(&log, "0 returned for later");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_before_the_write_is_overcome() -> Result<()> {
    check_overcome(Fault::reset(), 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_after_the_write_is_overcome_by_writing_it_again() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::reset_after_apply().patches());
    run(&world, &[], &[change(1, 1).set("firstname", "Ada")]).await?;
    let patches = world.patches();
    assert_eq!(patches.iter().map(|patch| patch.status).collect::<Vec<_>>(), [None, Some(204)]);
    assert!(patches.iter().all(|patch| patch.applied));
    assert!(patches[1].changes.is_empty(), "the repetition changes nothing");
    assert_ne!(patches[0].client_request_id, patches[1].client_request_id, "two requests are two ids");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_never_answered_is_given_up_and_made_again() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::hang().patches());
    let impatient = r#"connection.request_timeout = "1s""#;
    let log = run(&world, &[impatient], &[change(1, 1).set("firstname", "Ada")]).await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"), "{log}");
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    // A busy machine may give up answers that were only late, so more than two are no fault.
    let statuses: Vec<_> = world.patches().iter().map(|patch| patch.status).collect();
    assert_eq!((statuses[0], statuses.len() >= 2), (None, true), "{statuses:?}");
    assert_tally(&log, "1 applied");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_and_service_failures_are_overcome_in_place() -> Result<()> {
    for status in [500, 502, 503, 504, 423, 507] {
        check_overcome(Fault::status(status).times(3), 4).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_timeout_after_the_write_costs_one_more_write_and_no_change() -> Result<()> {
    let world = world(1).await?;
    world.graph.script(Fault::status(504).patches().but_applied());
    run(&world, &[], &[change(1, 1).set("firstname", "Ada")]).await?;
    assert_eq!(world.graph.counters().effective_writes, 1);
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_people_and_empty_answers_are_judged_by_their_status() -> Result<()> {
    for page in [Page::Html, Page::Empty, Page::Json(json!("bad gateway"))] {
        check_overcome(Fault::status(502).body(page).times(2), 3).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrency_violation_passes_under_whatever_status_it_comes() -> Result<()> {
    for status in [400, 409] {
        check_overcome(Fault::concurrency_violation(status).times(2), 3).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_500_that_never_heals_comes_back_later_and_ends_as_a_dead_letter_while_others_go_on() -> Result<()>
{
    let world = world(3).await?;
    world.graph.script(Fault::status(500).patches().user(user(1)).always());
    let changes = [1, 2, 3].map(|number| change(number, 1).set("firstname", "Ada"));
    // Long enough for two rounds on a busy machine, start included.
    let log = run(&world, &["retry.tries = 3", r#"retry.max_age = "8s""#], &changes).await?;
    assert_eq!(world.reasons()?, ["RetryBudgetExhausted"], "{log}");
    let letter = &world.letters()?[0];
    assert!(letter.description.contains("graph answered 500 Service_InternalServerError"), "{letter:?}");
    for number in [2, 3] {
        assert_eq!(world.user(user(number))?.text("givenName"), Some("Ada"));
    }
    let tries = world.patches().iter().filter(|patch| patch.status == Some(500)).count();
    assert!(tries >= 6 && tries.is_multiple_of(3), "{tries} tries, always three in place: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_created_moments_ago_is_waited_for() -> Result<()> {
    let world = world(0).await?;
    world.graph.set_visible_after(Duration::from_hours(1));
    world.graph.add_user(User::new(user(1)))?;
    world.post_changes(&[change(1, 1).set("firstname", "Ada")]).await?;
    let worker = start(&world, &[r#"retry.not_found_grace = "10m""#])?;
    world.graph.wait_for_entry(PATIENCE, |entry| entry.status == Some(404)).await?;
    world.graph.set_visible_after(Duration::ZERO);
    world.graph.add_user(User::new(user(1)))?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"), "{log}");
    assert_eq!(world.patches()[0].status, Some(404));
    assert_tally(&log, "1 applied in 1 writes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_does_not_exist_is_a_dead_letter_only_after_the_grace_time() -> Result<()> {
    let world = world(1).await?;
    let changes = [7, 1].map(|number| change(number, 1).set("firstname", "Ada"));
    let grace = r#"retry.not_found_grace = "2s""#;
    let log = run(&world, &[ONE_BY_ONE, grace], &changes).await?;
    assert_eq!(world.reasons()?, ["UserNotFound"], "{log}");
    let (found, missing): (Vec<_>, Vec<_>) =
        world.patches().into_iter().partition(|patch| patch.status == Some(204));
    assert!(missing.len() >= 2, "given up at once: {log}");
    assert!(
        found[0].at_ms < missing.last().expect("tried").at_ms,
        "somebody else waited for the missing one"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_opens_the_breaker_and_everything_arrives_when_it_is_over() -> Result<()> {
    let world = world(30).await?;
    world.graph.script(Fault::status(503).patches().always());
    let changes: Vec<_> = (1..=30).map(|number| change(number, 1).set("firstname", "Ada")).collect();
    world.post_changes(&changes).await?;
    let worker = start(&world, &["retry.tries = 100"])?;
    world
        .until(PATIENCE, "the breaker is open", |_| {
            let log = worker.log()?;
            Ok((log.contains("users failed in a row"), log))
        })
        .await?;
    world.graph.clear_faults();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    assert_tally(&log, "30 applied in 30 writes");
    Ok(())
}
