//! Several replicas with a lease queue: one writes, the others stand by and take over. With the worker's real binary.

use std::time::Duration;

use anyhow::{Context, Result};
use emulator::{broker, journal::Event};
use tests::{
    PATIENCE,
    quick::{GUARDED, QUICK, renamed, user, world},
    world::{LEASED, QUEUE, Worker, World, signal},
};

/// Longer than a takeover from a holder that said nothing.
const TAKEOVER: Duration = Duration::from_secs(90);

fn start(world: &World) -> Result<Worker> {
    world.start_worker(&world.layered(&[QUICK, GUARDED, LEASED])?)
}

async fn start_as(world: &World, role: &str) -> Result<Worker> {
    let mut worker = start(world)?;
    worker.becomes(role).await?;
    Ok(worker)
}

/// How many calls that write a worker has made.
async fn writes(worker: &mut Worker) -> Result<u64> {
    let page = worker.page("/metrics").await?;
    let lines = page.text.lines().filter(|line| line.starts_with("contactsync_graph_writes_total"));
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
}

/// Posts a change of each user, and waits until all are applied.
async fn rename(world: &World, users: u128, at: usize, name: &str) -> Result<()> {
    world.post_changes(&(1..=users).map(|number| renamed(number, at, name)).collect::<Vec<_>>()).await?;
    all_are(world, users, name).await
}

async fn all_are(world: &World, users: u128, name: &str) -> Result<()> {
    world
        .until(TAKEOVER, "all users have the name", |world| {
            let named = (1..=users)
                .filter(|number| world.user(user(*number)).is_ok_and(|user| user.get("givenName") == name));
            let named = named.count() as u128;
            Ok((named == users, format!("{named} of {users}")))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writes_and_the_others_stand_by_until_it_leaves() -> Result<()> {
    let world = world(20).await?;
    let mut first = start_as(&world, "writer").await?;
    let mut second = start_as(&world, "standby").await?;
    let ready = second.page("/readyz").await?;
    assert_eq!(ready.status, 200, "a standby is ready: {ready:?}");
    let status = second.page("/status.json").await?.text;
    assert!(status.contains("\"state\":\"standby\""), "{status}");
    rename(&world, 20, 1, "Ada").await?;
    world.drained(PATIENCE).await?;
    assert_eq!(writes(&mut second).await?, 0);
    assert!(writes(&mut first).await? >= 20);
    let log = first.stop().await?;
    assert!(log.contains("the lease was given back"), "{log}");
    second.becomes("writer").await?;
    rename(&world, 20, 2, "Grace").await?;
    world.drained(PATIENCE).await?;
    let log = second.stop().await?;
    assert!(log.contains("its last holder left in good order"), "{log}");
    assert!(!log.contains("without a goodbye"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_writes_after_a_quiet_time_when_the_writer_dies() -> Result<()> {
    let world = world(5).await?;
    let mut first = start_as(&world, "writer").await?;
    let mut second = start_as(&world, "standby").await?;
    rename(&world, 5, 1, "Ada").await?;
    assert!(writes(&mut first).await? >= 5);
    first.kill().await?;
    second.becomes("entering").await?;
    rename(&world, 5, 2, "Grace").await?;
    world.drained(TAKEOVER).await?;
    let log = second.stop().await?;
    assert!(log.contains("without a goodbye"), "{log}");
    let took = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let took = took.filter_map(|line| line["lease.takeover_ms"].as_u64()).max();
    assert!(took.is_some_and(|took| took >= 10_000), "{took:?}: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_sleeps_writes_nothing_when_it_wakes() -> Result<()> {
    let world = world(3).await?;
    let mut first = start_as(&world, "writer").await?;
    let mut second = start_as(&world, "standby").await?;
    rename(&world, 3, 1, "Ada").await?;
    let before = writes(&mut first).await?;
    let sleeper = first.id().context("it runs")?;
    signal("STOP", sleeper).await?;
    // As the service does when nothing is heard of a client for long; it does not know.
    world.bus.drop_connections();
    second.becomes("entering").await?;
    rename(&world, 3, 3, "Grace").await?;
    signal("CONT", sleeper).await?;
    first.becomes("standby").await?;
    assert_eq!(writes(&mut first).await?, before, "{}", first.log()?);
    world.drained(TAKEOVER).await?;
    all_are(&world, 3, "Grace").await?;
    first.stop().await?;
    second.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_costs_the_writer_neither_its_term_nor_a_message() -> Result<()> {
    let world = world(5).await?;
    let mut first = start_as(&world, "writer").await?;
    rename(&world, 5, 1, "Ada").await?;
    world.bus.drop_connections();
    world
        .until(PATIENCE, "it is in doubt and goes on", |_| {
            let log = first.log()?;
            Ok((log.contains("this replica is still the writer"), log))
        })
        .await?;
    first.becomes("writer").await?;
    rename(&world, 5, 2, "Grace").await?;
    let granted = |event: &Event| matches!(event, Event::Broker(broker::Event::SessionAccepted { .. }));
    assert!(world.bus.journal().count(granted) >= 2, "it has attached again");
    let log = first.stop().await?;
    assert!(!log.contains("the lease is lost"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_queue_nobody_writes_and_everybody_says_why() -> Result<()> {
    let world = world(1).await?;
    let settings = world.layered(&[QUICK, GUARDED, "replicas.lease_queue = \"nowhere\""])?;
    let mut worker = world.start_worker(&settings)?;
    let page = worker.page_until("/readyz", |page| page.text.contains("not ready, lease:")).await?;
    assert!(page.text.contains("there is no queue nowhere"), "{page:?}");
    world.post_changes(&[renamed(1, 1, "Ada")]).await?;
    worker.becomes("standby").await?;
    assert_eq!(world.bus.counts(QUEUE)?.active, 1, "it stays in the queue");
    worker.stop().await?;
    assert_eq!(world.bus.counts(QUEUE)?.active, 1);
    Ok(())
}
