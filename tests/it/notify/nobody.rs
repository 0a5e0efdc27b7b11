//! That nobody writes. Only the writer tells what is wrong, so that this is told by those who stand by: at once where Service
//! Bus says why there is no writer, and after a minute where it says nothing.

use anyhow::{Context, Result};
use emulator::faults::{Action, Point, Rule};
use serde_json::Value;
use tests::{
    PATIENCE,
    notified::{TellReceiver, check_event},
    quick::{renamed, user, world},
    world::QUEUE,
};

use super::{HOOK, writer_and_standby};

/// The writer is gone, and who stands by gets this answer whenever it asks for the lease. It must be told in these words and
/// with this remedy, and be over when there is a writer again.
async fn nobody_can_follow(answer: &str, text: &str, remedy: &str) -> Result<()> {
    let world = world(1).await?;
    let receiver = TellReceiver::start().await?;
    let [writer, mut other] = writer_and_standby(&world, &receiver).await?;

    let refused = Action::Refuse(answer.to_owned());
    world.bus.faults().add(Rule::new(Point::Attach, refused).on("contacts-lease").always());
    writer.kill().await?;
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    let events = receiver.until(HOOK, 1).await.with_context(|| other.log().unwrap_or_default())?;
    let data = check_event(&events[0])?;
    let item = &data["items"][0];
    assert_eq!((&data["state"], &data["severity"]), (&"firing".into(), &"critical".into()), "{data}");
    assert_eq!((&item["topic"], &item["name"]), (&"writer".into(), &"lease".into()), "{data}");
    let says = |member: &str, words: &str| item[member].as_str().is_some_and(|told| told.contains(words));
    assert!(says("text", text) && says("remedy", remedy), "{data}");
    assert_eq!(item["runbook"], "https://wiki.example/runbook.md#contactsyncnowriter");
    let page = other.page("/status.json").await?.text;
    let status: Value = serde_json::from_str(&page)?;
    let lease = status["checks"].as_array().context("checks")?.iter().find(|check| check["name"] == "lease");
    assert_eq!(lease.context("lease")?["ok"], false, "{page}");
    assert_eq!(status["role"], "standby", "{page}");
    assert_eq!(world.bus.counts(QUEUE)?.active, 1, "the message waits");

    world.bus.faults().clear();
    other.becomes("writer").await?;
    world.drained(PATIENCE).await?;
    let events = receiver.until(HOOK, 2).await?;
    let over = check_event(&events[1])?;
    assert_eq!((&over["state"], &over["items"][0]["name"]), (&"resolved".into(), &"lease".into()), "{over}");
    assert_eq!(world.user(user(1))?.text("givenName"), Some("Ada"));
    other.stop().await?;
    assert_eq!(receiver.got(HOOK).len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_by_tells_that_nobody_writes_and_that_it_is_over() -> Result<()> {
    nobody_can_follow("amqp:unauthorized-access", "the lease cannot be had: ", "replicas.lease_queue").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_hears_nothing_tells_after_a_minute_that_nobody_is_known_to_write() -> Result<()> {
    let text = "for a minute it has not been known which replica writes";
    nobody_can_follow("com.microsoft:server-busy", text, "the worker asks again by itself").await
}
