//! When what is wrong is tried again: told while it is to come, by the page and by `status`, and gone when all is well.

use std::time::Duration;

use anyhow::{Context, Result};
use emulator::graph::Fault;
use jiff::Timestamp;
use serde_json::Value;
use tests::world::Worker;
use tokio::time::timeout;

use super::{PATIENCE, QUICK, change, world};
use crate::replay::contactsync;

/// Probes that are so far apart that somebody can look in between.
const SLOW_PROBES: &str = "[throttle]\nfirst_probe = \"6s\"\nlongest_probe = \"6s\"\n[retry]\ntries = 100\n";
const LONGEST_WAIT: Duration = Duration::from_secs(6);

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// The check of that name as `status.json` has it.
fn check<'s>(status: &'s Value, name: &str) -> Option<&'s Value> {
    status["checks"].as_array()?.iter().find(|check| check["name"] == name)
}

/// Waits until the check has failed with these words and is to be tried again later on.
async fn waits_for_its_next_try(worker: &mut Worker, name: &str, words: &str) -> Result<()> {
    let page = worker
        .page_until("/status.json", |page| {
            let Ok(status) = serde_json::from_str::<Value>(&page.text) else { return false };
            let failed = check(&status, name).filter(|check| check["ok"] == false);
            let says =
                failed.is_some_and(|check| check["says"].as_str().is_some_and(|says| says.contains(words)));
            says && failed.and_then(|check| time(&check["nextTry"])) > time(&status["now"])
        })
        .await?;
    let status: Value = serde_json::from_str(&page.text)?;
    let next = check(&status, name).and_then(|check| time(&check["nextTry"])).context("no next try")?;
    let now = time(&status["now"]).context("no time")?;
    let wait = Duration::try_from(next.duration_since(now))?;
    // Both are told in whole seconds.
    assert!(wait <= LONGEST_WAIT + Duration::from_secs(1), "{status}");
    Ok(())
}

/// Nothing is wrong any more, and so nothing is tried again.
async fn waits_for_nothing(worker: &mut Worker) -> Result<()> {
    worker.page_until("/readyz", |page| page.status == 200).await?;
    let page = worker.page("/status.json").await?.text;
    let status: Value = serde_json::from_str(&page)?;
    let checks = status["checks"].as_array().context("checks")?;
    assert!(checks.iter().all(|check| check["ok"] == true && check["nextTry"].is_null()), "{page}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_try_of_an_open_breaker_is_told_until_it_is_over() -> Result<()> {
    let world = world(12).await?;
    world.graph.script(Fault::status(503).patches().always());
    world.post_changes(&(1..=12).map(|number| change(number, 1)).collect::<Vec<_>>()).await?;
    let settings = world.layered(&[QUICK, SLOW_PROBES])?;
    let mut worker = world.start_worker(&settings)?;
    waits_for_its_next_try(&mut worker, "breaker", "writes of many users failed in a row").await?;
    let url = format!("status --worker {}", worker.address().await?);
    let told = async {
        loop {
            // In between it is being tried.
            let told = contactsync(&settings, &url).await?.expect(0).out;
            if told.contains("; next try at ") {
                return Ok::<_, anyhow::Error>(told);
            }
        }
    };
    let told = timeout(PATIENCE, told).await.context("status never tells of it")??;
    assert!(told.contains("breaker: writes of many users failed in a row"), "{told}");
    worker.page_until("/readyz", |page| page.text.contains("; next try at ")).await?;
    world.graph.clear_faults();
    waits_for_nothing(&mut worker).await?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_pause_the_failure_that_followed_it_is_told_with_its_next_try() -> Result<()> {
    let world = world(3).await?;
    // Nobody sees it while there is no token.
    world.graph.script(Fault::status(503).patches().always());
    let secret = world.folder().join("secret");
    std::fs::write(&secret, "not-this-one")?;
    let variable = ("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", secret.to_str().unwrap_or_default());
    let settings = world.layered(&[QUICK, SLOW_PROBES, "identity.client_secret = \"\""])?;
    world.post_changes(&[change(1, 1), change(2, 1), change(3, 1)]).await?;
    let mut worker = world.start_worker_with(&settings, &[variable])?;
    waits_for_its_next_try(&mut worker, "intake", "the installation is at fault: there is no token").await?;

    std::fs::write(&secret, emulator::graph::DEFAULT_SECRET)?;
    waits_for_its_next_try(&mut worker, "intake", "writes fail; one at a time is tried; the last: 503")
        .await?;
    let page = worker.page("/readyz").await?.text;
    assert!(!page.contains("AADSTS"), "the secret is mended: {page}");

    world.graph.clear_faults();
    waits_for_nothing(&mut worker).await?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(log.matches("\"the installation is at fault\"").count(), 1, "told once: {log}");
    Ok(())
}
