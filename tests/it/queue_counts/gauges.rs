//! The gauges of a real worker: they agree with the queue, or they are not there.

use std::time::Duration;

use anyhow::{Result, ensure};
use emulator::faults::{Action, Point, Rule, Wrong};
use servicebus::{Outgoing, Queue};
use tests::{
    PATIENCE,
    observed::{Metrics, Observed},
    scenario::{Mix, Scenario},
    world::{DEAD_LETTERS, Options, QUEUE, World},
};
use tokio::time::Instant;

const OFTEN: &str = "[telemetry]\nqueue_interval = \"1s\"\n";

/// Nothing but changes of portal users.
const CHANGES: Mix = Mix::updates(3, 12);

/// A world with one dead letter and one scheduled message.
async fn world_with_a_dead_letter() -> Result<World> {
    let scenario = Scenario::mixed(Mix { garbage: 1, ..CHANGES }, 7);
    let world = World::loaded(Options::default(), &scenario).await?;
    let sender = world.sender()?;
    let later = servicebus::clock::now() + jiff::SignedDuration::from_hours(1);
    sender.schedule(Outgoing { body: "{}".into(), ..Outgoing::default() }, later).await?;
    sender.close().await;
    Ok(world)
}

fn known(metrics: &Metrics) -> bool {
    metrics.value("contactsync_queue_counts_up") == Some(1.0)
}

/// Unknown as it must look: a gauge that says so, and no other about the queue.
fn unknown(metrics: &Metrics) -> bool {
    let gauges = ["contactsync_queue_messages", "contactsync_queue_oldest", "contactsync_queue_size"];
    metrics.value("contactsync_queue_counts_up") == Some(0.0)
        && !metrics.0.lines().any(|line| gauges.iter().any(|gauge| line.starts_with(gauge)))
}

#[tokio::test]
async fn gauges_agree_with_the_queue_before_and_after_a_power_cut() -> Result<()> {
    let scenario = Scenario::mixed(CHANGES, 3);
    let began = Instant::now();
    let world = World::loaded(Options::default(), &scenario).await?;
    let settings = world.settings(OFTEN)?;
    // Without a token nothing can be written, so everything stays.
    let secret = world.folder().join("secret");
    std::fs::write(&secret, "wrong")?;
    let without = world.layered(&[OFTEN, "identity.client_secret = \"\""])?;
    let secret = secret.to_str().unwrap_or_default();
    let worker =
        world.start_worker_with(&without, &[("CONTACTSYNC__IDENTITY__CLIENT_SECRET_FILE", secret)])?;
    let observed = Observed::of(&worker).await?;
    let waiting =
        observed.until("all messages are seen", |metrics| metrics.messages("active") == Some(12.0)).await?;
    ensure!(world.bus.counts(QUEUE)?.active == 12 && waiting.messages("dead_letter") == Some(0.0));
    let age = waiting.value("contactsync_queue_oldest_message_age_seconds");
    ensure!(age.is_some_and(|age| age <= began.elapsed().as_secs_f64() + 1.0), "{age:?}");
    ensure!(waiting.value("contactsync_queue_counts_lower_bound") == Some(0.0));
    ensure!(waiting.value("contactsync_queue_size_bytes").is_some_and(|bytes| bytes > 1_000.0));
    worker.kill().await?;
    // The locks of the dead worker lapse.
    world.bus.skip_time(Duration::from_mins(1));
    let worker = world.start_worker(&settings)?;
    let observed = Observed::of(&worker).await?;
    world.drained(PATIENCE).await?;
    let done = observed
        .until("the queue is seen to be empty", |metrics| metrics.messages("active") == Some(0.0))
        .await?;
    ensure!(done.value("contactsync_queue_oldest_message_age_seconds") == Some(0.0));
    let dead = world.bus.counts(DEAD_LETTERS)?.active;
    ensure!(dead == 0 && done.messages("dead_letter") == Some(0.0));
    worker.stop().await?;
    Ok(())
}

/// The gauges go when the management interface begins to give a wrong answer, and come back afterwards.
async fn check_that_gauges_vanish(wrong: Wrong) -> Result<()> {
    let world = world_with_a_dead_letter().await?;
    let worker = world.start_worker(&world.settings(OFTEN)?)?;
    let observed = Observed::of(&worker).await?;
    let counted = |metrics: &Metrics| {
        known(metrics)
            && [("active", 0.0), ("dead_letter", 1.0), ("scheduled", 1.0)]
                .iter()
                .all(|(state, count)| metrics.messages(state) == Some(*count))
    };
    observed.until("the queue is counted", counted).await?;
    world.bus.faults().add(Rule::new(Point::Admin, Action::Http(wrong)).times(u32::MAX));
    observed.until("nothing is known", unknown).await?;
    world.bus.faults().clear();
    observed.until("it is counted again", counted).await?;
    let log = worker.stop().await?;
    ensure!(log.contains("how much is in the queue is not known"), "{log}");
    Ok(())
}

#[tokio::test]
async fn while_the_service_refuses_to_count_the_gauges_are_gone() -> Result<()> {
    check_that_gauges_vanish(Wrong::Status(429)).await
}

#[tokio::test]
async fn while_the_service_answers_with_zeros_the_gauges_are_gone() -> Result<()> {
    check_that_gauges_vanish(Wrong::Zeros).await
}

#[tokio::test]
async fn a_worker_that_may_not_manage_shows_lower_bounds() -> Result<()> {
    let world = world_with_a_dead_letter().await?;
    let connection_string = world.worker_connection_string();
    let variables = [("CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING", &*connection_string)];
    let worker = world.start_worker_with(&world.settings(OFTEN)?, &variables)?;
    let observed = Observed::of(&worker).await?;
    let seen =
        observed.until("it is counted", |metrics| metrics.messages("dead_letter") == Some(1.0)).await?;
    ensure!(known(&seen) && seen.value("contactsync_queue_counts_lower_bound") == Some(1.0));
    ensure!(seen.messages("transfer").is_none() && seen.value("contactsync_queue_size_bytes").is_none());
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letters_of_the_whole_queue_are_told_by_reason_and_somebody_should_look() -> Result<()> {
    let world = world_with_a_dead_letter().await?;
    let runbook = "runbook_url = \"https://wiki.example/runbook.md\"\n";
    let mut worker = world.start_worker(&world.settings(&format!("{OFTEN}{runbook}"))?)?;
    let told = |text: &str| text.contains("\"deadLettersNow\":{") && text.contains("\"level\":\"amber\"");
    let page = worker.page_until("/status.json", |page| told(&page.text)).await?;
    let status: serde_json::Value = serde_json::from_str(&page.text)?;
    let letters = &status["deadLettersNow"];
    assert_eq!(letters["reasons"], serde_json::json!({"BodyUndecodable": 1}), "{status}");
    assert_eq!((&letters["more"], &status["ready"]), (&false.into(), &true.into()), "{status}");
    assert_eq!(status["runbook"], "https://wiki.example/runbook.md");
    worker.stop().await?;
    Ok(())
}
