//! Two directories that take the same changes by a topic with a subscription for each, in one process of the real worker.

mod compare;
mod migration;

use anyhow::Result;
use emulator::graph::{Fault, User};
use serde_json::Value as Json;
use tests::{
    PATIENCE,
    pair::{Pair, TOPIC, contactsync},
    quick::{renamed, user},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_away_delays_no_other_and_misses_nothing() -> Result<()> {
    let pair = Pair::start(true).await?;
    pair.add_users(1..=8)?;
    let mut worker = pair.worker("[replicas]\nlease_queue = \"lease\"")?;
    pair.post(&(1..=8).map(|number| renamed(number, 1, "Ada")).collect::<Vec<_>>()).await?;
    pair.are("b2c", 1..=8, "Ada").await?;
    pair.are("external-id", 1..=8, "Ada").await?;
    worker.page_until("/readyz", |page| page.status == 200).await?;

    pair.second.script(Fault::status(403).code("Authorization_RequestDenied").patches().always());
    pair.post(&(1..=8).map(|number| renamed(number, 2, "Grace")).collect::<Vec<_>>()).await?;
    pair.are("b2c", 1..=8, "Grace").await?;
    pair.post(&(1..=8).map(|number| renamed(number, 3, "Edith")).collect::<Vec<_>>()).await?;
    pair.are("b2c", 1..=8, "Edith").await?;
    let told = worker
        .page_until("/readyz", |page| {
            page.status == 503 && page.text.contains("not ready, target external-id, intake")
        })
        .await?;
    assert!(!told.text.contains("target b2c"), "{told:?}");
    assert_eq!(pair.dead_letters("external-id")?.len(), 0);
    let metrics = worker.page("/metrics").await?.text;
    for line in [
        "contactsync_ready{target=\"b2c\"} 1",
        "contactsync_ready{target=\"external-id\"} 0",
        "contactsync_replica_role{role=\"writer\",target=\"b2c\"} 1",
        "contactsync_replica_role{role=\"writer\",target=\"external-id\"} 1",
    ] {
        assert!(metrics.lines().any(|seen| seen == line), "{line}\n{metrics}");
    }
    assert_eq!(metrics.matches("\nprocess_start_time_seconds").count(), 1, "{metrics}");
    assert_eq!(metrics.matches("# TYPE contactsync_ready ").count(), 1, "{metrics}");
    let status: Json = serde_json::from_str(&worker.page("/status.json").await?.text)?;
    assert_eq!(
        (&status["targets"][0]["state"], &status["targets"][0]["target"]),
        (&"open".into(), &"b2c".into())
    );
    assert_eq!(status["targets"][1]["ready"], false);
    let one: Json = serde_json::from_str(&worker.page("/status.json?target=external-id").await?.text)?;
    assert_eq!(one["target"], "external-id");
    assert_eq!(worker.page("/status.json?target=nobody").await?.status, 404);

    pair.second.clear_faults();
    pair.are("external-id", 1..=8, "Edith").await?;
    pair.are("b2c", 1..=8, "Edith").await?;
    pair.emptied("external-id").await?;
    let log = worker.stop().await?;
    assert_eq!(pair.dead_letters("b2c")?.len() + pair.dead_letters("external-id")?.len(), 0, "{log}");
    assert!(log.contains("\"directory\":\"b2c\"") && log.contains("\"directory\":\"external-id\""), "{log}");
    Ok(())
}

/// One change of a user that only the first directory has: the second one's copies, its dead letter, and what a replay
/// makes of that are for itself.
async fn check_addressed(with_rules: bool) -> Result<()> {
    let pair = Pair::start(with_rules).await?;
    pair.world.graph.add_user(User::new(user(1)))?;
    // The first call about him fails, so that a copy for later is made.
    pair.second.script(Fault::status(503));
    let settings = pair.settings("")?;
    let mut worker = pair.world.start_worker_with(&settings, &[("CONTACTSYNC__RETRY__TRIES", "1")])?;
    pair.post(&[renamed(1, 1, "Ada")]).await?;
    pair.are("b2c", 1..=1, "Ada").await?;
    pair.world
        .until(PATIENCE, "the second directory gives up", |_| {
            let count = pair.dead_letters("external-id")?.len();
            Ok((count == 1, count.to_string()))
        })
        .await?;
    let letter = &pair.dead_letters("external-id")?[0];
    let named = format!("{:?}", letter.message.property("contactsync-for-target"));
    assert!(named.contains("external-id"), "{named}");
    let came_back = letter.message.property("contactsync-attempt").is_some();

    pair.second.add_user(User::new(user(1)))?;
    let done = contactsync(&settings, "replay --all --unguarded --target external-id").await?;
    assert_eq!(done.code, Some(0), "{}\n{}", done.out, done.err);
    pair.are("external-id", 1..=1, "Ada").await?;
    pair.emptied("external-id").await?;
    pair.emptied("b2c").await?;
    let line = "contactsync_messages_total{outcome=\"unchanged\",reason=\"other-target\",target=\"b2c\"}";
    let count = |text: &str| {
        let value = text.lines().find_map(|seen| seen.strip_prefix(line)?.trim().parse::<u64>().ok());
        value.unwrap_or_default()
    };
    if with_rules {
        assert_eq!(count(&worker.page("/metrics").await?.text), 0, "the rule keeps copies of the other out");
    } else {
        // The copy for later, and the one of the replay.
        let copies = 1 + u64::from(came_back);
        worker.page_until("/metrics", |page| count(&page.text) >= copies).await?;
    }
    let log = worker.stop().await?;
    assert_eq!(pair.writes("b2c", 204), 1, "what is for the other has no effect here\n{log}");
    assert_eq!(pair.dead_letters("b2c")?.len(), 0, "{log}");
    assert!(came_back, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_for_one_target_has_no_effect_on_the_other() -> Result<()> {
    check_addressed(true).await?;
    check_addressed(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_ask_which_target_is_meant() -> Result<()> {
    let pair = Pair::start(true).await?;
    let settings = pair.settings("")?;
    for command in ["status", "dead-letters list", "replay", "plan x.json", "run --dry-run --once"] {
        let done = contactsync(&settings, command).await?;
        assert_eq!(done.code, Some(1), "{command}: {}{}", done.out, done.err);
        assert!(done.err.contains("several targets: b2c, external-id"), "{command}: {}", done.err);
    }
    let unknown = contactsync(&settings, "status --target b3c").await?;
    assert!(unknown.err.contains("there is no target b3c"), "{}", unknown.err);
    let listed = contactsync(&settings, "dead-letters list --target b2c").await?;
    assert_eq!((listed.code, &*listed.out), (Some(0), "No dead letters.\n"), "{}", listed.err);
    let checked = contactsync(&settings, "check").await?;
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    assert!(
        checked.out.contains("target b2c\n") && checked.out.contains("target external-id\n"),
        "{}",
        checked.out
    );
    let checked: Json = serde_json::from_str(&contactsync(&settings, "check --json").await?.out)?;
    assert_eq!((&checked["ok"], &checked["targets"][1]["target"]), (&true.into(), &"external-id".into()));
    let shown: Json = serde_json::from_str(&contactsync(&settings, "config show --json").await?.out)?;
    assert_eq!(shown["external-id"]["service_bus.subscription"]["value"], "external-id");
    let one = contactsync(&settings, "config show --changed --target b2c").await?.out;
    assert!(one.contains("target b2c") && !one.contains("external-id"), "{one}");

    let body = pair.world.folder().join("body.json");
    std::fs::write(&body, renamed(1, 1, "Ada").body())?;
    let sent = contactsync(&settings, &format!("send --target b2c {}", body.display())).await?;
    assert_eq!(sent.code, Some(0), "{}", sent.err);
    let waiting = |target: &str| pair.bus.counts(&format!("{TOPIC}/Subscriptions/{target}"));
    assert_eq!((waiting("b2c")?.active, waiting("external-id")?.active), (1, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_sign_in_stops_alone() -> Result<()> {
    let pair = Pair::start(true).await?;
    pair.add_users(1..=3)?;
    let settings = pair.settings("")?;
    let variables = [("CONTACTSYNC__TARGET__EXTERNAL_ID__IDENTITY__CLIENT_SECRET", "wrong")];
    let mut worker = pair.world.start_worker_with(&settings, &variables)?;
    pair.post(&(1..=3).map(|number| renamed(number, 1, "Ada")).collect::<Vec<_>>()).await?;
    pair.are("b2c", 1..=3, "Ada").await?;
    worker
        .page_until("/readyz", |page| {
            page.text.contains("not ready, target external-id, ") && page.text.contains("no token for graph")
        })
        .await?;
    assert_eq!(worker.page("/livez").await?.status, 200);
    worker.stop().await?;
    assert_eq!(pair.dead_letters("external-id")?.len(), 0);
    // Nothing is lost: with the right secret the same changes reach it.
    let worker = pair.world.start_worker(&settings)?;
    pair.are("external-id", 1..=3, "Ada").await?;
    worker.stop().await?;
    Ok(())
}
