//! What the worker must not believe: answers that are not Graph's, refusals of everybody, failures of a few, and
//! settlements that did not take place.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    faults::{Action, Point, Rule},
    graph::{Fault, Page},
};
use tests::world::{Options, QUEUE};

use super::{ONE_BY_ONE, PATIENCE, assert_tally, change, start, user, world, world_with};

fn text(mime: &str, text: &str) -> Page {
    Page::Text { mime: mime.into(), text: text.into() }
}

/// Nobody is written and nothing is spent as long as this is answered, `/readyz` says so, and all are written after it.
async fn check_way(fault: Fault, told: &str) -> Result<()> {
    let world = world(6).await?;
    world.graph.script(fault.patches().always());
    let changes: Vec<_> = (1..=6).map(|number| change(number, 1).set("firstname", "Ada")).collect();
    world.post_changes(&changes).await?;
    let mut worker = start(&world, &[])?;
    let page = worker.page_until("/readyz", |page| page.status == 503 && page.text.contains(told)).await?;
    assert!(page.text.contains("127.0.0.1 answered"), "the host is named: {page:?}");
    assert_eq!(world.reasons()?, [""; 0]);
    assert!(world.bus.contents(QUEUE)?.len() >= 6, "a message is gone");
    world.graph.clear_faults();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    for number in 1..=6 {
        assert_eq!(world.user(user(number))?.text("givenName"), Some("Ada"), "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_graphs_applies_nothing_and_costs_nothing() -> Result<()> {
    for (status, page, told) in [
        (200, Page::Html, "answered 200 text/html"),
        (200, text("application/json", "[]"), "answered 200 application/json"),
        (202, Page::Empty, "answered 202"),
        (302, Page::Html, "answered 302 text/html"),
        (400, text("text/plain", "blocked"), "answered 400 text/plain"),
        (404, Page::Html, "answered 404 text/html"),
        (405, Page::Empty, "answered 405"),
        (
            403,
            text("application/json", r#"{"statusCode":403,"message":"no"}"#),
            "answered 403 application/json",
        ),
    ] {
        check_way(Fault::status(status).without_graph_headers().body(page), told).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_means_later_costs_no_message_under_any_status() -> Result<()> {
    for (status, code) in
        [(400, "ServiceUnavailable"), (403, "UnknownError"), (404, "generalException"), (409, "Timeout")]
    {
        let world = world(6).await?;
        world.graph.script(Fault::status(status).code(code).patches().times(12));
        let changes: Vec<_> = (1..=6).map(|number| change(number, 1).set("firstname", "Ada")).collect();
        world.post_changes(&changes).await?;
        let worker = start(&world, &[])?;
        world.drained(PATIENCE).await?;
        let log = worker.stop().await?;
        assert_eq!(world.reasons()?, [""; 0], "{status} {code}: {log}");
        assert_tally(&log, "6 applied");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_for_whom_graph_fails_for_ever_hold_nobody_up() -> Result<()> {
    let world = world(60).await?;
    // More of them than open the breaker, and all before the others.
    for number in 1..=20 {
        world.graph.script(Fault::status(500).patches().user(user(number)).always());
    }
    let changes: Vec<_> = (1..=60).map(|number| change(number, 1).set("firstname", "Ada")).collect();
    world.post_changes(&changes).await?;
    let worker = start(&world, &[r#"retry.max_age = "1h""#])?;
    world
        .until(PATIENCE, "all the others are written", |world| {
            let written = (21..=60).filter(|&number| {
                world.user(user(number)).is_ok_and(|user| user.text("givenName") == Some("Ada"))
            });
            let written = written.count();
            Ok((written == 40, format!("{written} are written")))
        })
        .await?;
    // Until then none of them has been tried again and again.
    let failed = world.patches().iter().filter(|patch| patch.status == Some(500)).count();
    assert!(failed <= 20 * 8, "{failed} calls went to those who fail");
    assert_eq!(world.reasons()?, [""; 0], "none is given up before its time");
    worker.kill().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_removed_after_its_copy_was_sent_is_not_copied_again() -> Result<()> {
    for detection in [false, true] {
        let duplicate_window = detection.then_some(Duration::from_mins(5));
        let world = world_with(Options { duplicate_window, ..Options::default() }, 1).await?;
        world.graph.script(Fault::status(503).patches().always());
        // Each of the first settlements finds its lock lapsed.
        world.bus.faults().add(Rule::new(Point::Settle, Action::LapseLock).on(QUEUE).times(6));
        world.post_changes(&[change(1, 1).set("firstname", "Ada")]).await?;
        let worker = start(&world, &[ONE_BY_ONE, "retry.tries = 1"])?;
        world
            .until(PATIENCE, "the faults are used up", |world| {
                let (faults, messages) = (world.bus.faults().len(), world.bus.contents(QUEUE)?.len());
                assert!(messages <= 2, "one message has become {messages}");
                Ok((faults == 0, format!("{faults} are left, {messages} messages")))
            })
            .await?;
        worker.kill().await?;
        assert_eq!(world.reasons()?, [""; 0]);
    }
    Ok(())
}
