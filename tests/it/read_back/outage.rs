//! While Dataverse cannot be asked, messages that need a row wait, and others do not.

use std::time::Duration;

use anyhow::Result;
use emulator::dataverse::{Answer, Entry, Fault, Limit, Options};
use tests::{PATIENCE, quick::user};
use tokio::time::Instant;

use super::{RowWorld, cut};

const UNREAD: &str = "contactsync_warning{kind=\"rows_unread\"}";

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_need_a_row_wait_for_dataverse_and_others_flow() -> Result<()> {
    for answer in [
        Answer::Unavailable,
        Answer::Reset,
        Answer::Error { status: 403, code: 0x8004_0220, message: "no prvReadContact".to_owned() },
    ] {
        let place = RowWorld::start(Options::default(), 260).await?;
        let mut bodies = Vec::new();
        for number in 1..=250 {
            place.save(number, Some(user(number)), "Ada")?;
            bodies.push(cut(&place.old(number))?);
        }
        place.dataverse.script(Fault::new(answer).always());
        let mut worker = place.world.start_worker(&place.settings(&[])?)?;
        place.post(bodies).await?;
        let warned =
            |page: &tests::observe::Page| tests::observe::Metrics::of(&page.text).value(UNREAD) > 0.0;
        worker.page_until("/metrics", warned).await?;
        let others: Vec<_> = (251..=260).map(|number| place.linked(number, user(number))).collect();
        place.world.post_changes(&others).await?;
        place
            .world
            .until(PATIENCE, "the others are applied", |_| {
                let done = (251..=260).filter(|number| place.name(*number).ok().flatten().is_some()).count();
                Ok((done == 10, format!("{done} of 10")))
            })
            .await?;
        let page = worker.page("/status.json").await?;
        assert!(page.text.contains("cannot be read from Dataverse"), "{}", page.text);
        assert_eq!((place.name(1)?, place.world.reasons()?.len()), (None, 0));
        place.dataverse.clear_faults();
        place.world.drained(PATIENCE).await?;
        let metrics = worker.metrics().await?;
        worker.stop().await?;
        assert!(metrics.value(UNREAD) < 1.0);
        assert!(metrics.sum("contactsync_row_questions_total", "failed") >= 1.0);
        for number in 1..=250 {
            place.named(number, "Ada");
        }
        place.no_letters()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_before_dataverse_wants_it() -> Result<()> {
    let place = RowWorld::start(Options::default(), 1).await?;
    place.save(1, Some(user(1)), "Ada")?;
    place.dataverse.script(Fault::throttled(Limit::Requests, 3).path("CRM.In("));
    let worker = place.world.start_worker(&place.settings(&[])?)?;
    place.post([cut(&place.old(1))?]).await?;
    place.dataverse.wait_for_entry(PATIENCE, |entry| entry.status == Some(429)).await?;
    let refused = Instant::now();
    place.world.drained(PATIENCE).await?;
    let waited = refused.elapsed();
    worker.stop().await?;
    assert!(waited >= Duration::from_millis(2_500), "{waited:?}");
    assert_eq!(place.questions().len(), 2);
    place.named(1, "Ada");
    place.no_letters()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_or_dies_while_messages_wait_loses_none() -> Result<()> {
    let place = RowWorld::start(Options::default(), 20).await?;
    let mut bodies = Vec::new();
    for number in 1..=20 {
        place.save(number, Some(user(number)), "Ada")?;
        bodies.push(cut(&place.old(number))?);
    }
    place.post(bodies).await?;
    place.dataverse.script(Fault::new(Answer::Hang).path("CRM.In(").always());
    let waits = |entry: &Entry| entry.path.contains("CRM.In(");
    let first = place.world.start_worker(&place.settings(&[])?)?;
    place.dataverse.wait_for_entry(PATIENCE, waits).await?;
    first.stop().await?;
    let second = place.world.start_worker(&place.settings(&[])?)?;
    place.world.until(PATIENCE, "asked again", |_| Ok((place.questions().len() >= 2, String::new()))).await?;
    second.kill().await?;
    place.dataverse.clear_faults();
    let third = place.world.start_worker(&place.settings(&["retry.first_return = \"50ms\""])?)?;
    place.world.drained(PATIENCE).await?;
    third.stop().await?;
    for number in 1..=20 {
        place.named(number, "Ada");
    }
    place.no_letters()
}
