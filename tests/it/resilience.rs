//! Outages, shutdown and what must not be lost or repeated by them; with the worker's real binary.

use std::time::Duration;

use anyhow::Result;
use emulator::{
    broker::{self, Settled},
    graph::Fault,
    journal::Event,
};
use tests::{
    PATIENCE,
    audit::audit,
    quick::QUICK,
    scenario::{Mix, Scenario},
    world::{Options, QUEUE, World},
};

const CHANGES: Mix = Mix::updates(200, 1_000);

fn count(world: &World, wanted: impl Fn(&broker::Event) -> bool) -> usize {
    world.bus.journal().count(|event| matches!(event, Event::Broker(event) if wanted(event)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_graph_costs_no_message_and_no_delivery_count() -> Result<()> {
    let scenario = Scenario::mixed(CHANGES, 11);
    let world = World::loaded(Options::default(), &scenario).await?;
    let outage = world.graph.script(Fault::status(503).patches().always());
    // In place for as long as the outage lasts: the breaker lets one probe through at a time.
    let worker = world.start_worker(&world.layered(&[QUICK, "[retry]\ntries = 100\n"])?)?;
    world.graph.wait_for_counters(PATIENCE, |counters| counters.failed >= 25).await?;
    let waiting = world.bus.counts(QUEUE)?;
    assert_eq!(waiting.active, 1_000, "all of them are still there");
    assert!(world.graph.pending_faults().iter().any(|(id, _)| *id == outage));
    world.graph.clear_faults();
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(audit(&world, &scenario)?.faults, [], "{log}");
    let failed = |event: &broker::Event| {
        matches!(
            event,
            broker::Event::Settled { how: Settled::Abandoned, .. } | broker::Event::LockLapsed { .. }
        )
    };
    assert_eq!(count(&world, failed), 0, "no delivery counts as failed");
    assert!(log.contains("one at a time is tried until graph is well again"), "{log}");
    assert!(log.contains("writes to graph resumed after"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_under_load_settles_what_was_begun_and_gives_back_the_rest() -> Result<()> {
    let scenario = Scenario::mixed(CHANGES, 12);
    let world = World::loaded(Options::default(), &scenario).await?;
    // Twenty writes are made, and those after them are under way when it is told to stop.
    world.graph.script(Fault::hold().patches().after(20));
    let settings = world.layered(&[QUICK, "[pool]\nconcurrency = 4\nmessages = 200\n"])?;
    let mut first = world.start_worker(&settings)?;
    world.graph.wait_for_counters(PATIENCE, |counters| counters.writes >= 20).await?;
    world
        .until(PATIENCE, "four writes are under way", |world| Ok((world.graph.held() == 4, String::new())))
        .await?;
    first.ask_to_stop().await?;
    first.page_until("/readyz", |page| page.text.contains("it finishes what is under way")).await?;
    world.graph.release();
    let log = first.stopped().await?;
    let counts = world.bus.counts(QUEUE)?;
    assert_eq!(counts.locked, 0, "a lock is left to lapse: {counts:?}\n{log}");
    assert!(counts.active > 0, "it was stopped in the middle");
    let released =
        count(&world, |event| matches!(event, broker::Event::Settled { how: Settled::Released, .. }));
    assert!(released > 0, "{log}");
    let second = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    let log = second.stop().await?;
    assert_eq!(audit(&world, &scenario)?.faults, [], "{log}");
    assert!(world.bus.contents(QUEUE)?.iter().all(|view| view.delivery_count == 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_to_the_queue_is_overcome() -> Result<()> {
    let scenario = Scenario::mixed(CHANGES, 13);
    let world =
        World::loaded(Options { lock: Duration::from_secs(5), ..Options::default() }, &scenario).await?;
    world.graph.set_latency(Duration::from_millis(10));
    let worker = world.start_worker(&world.layered(&[QUICK, "[pool]\nconcurrency = 4\n"])?)?;
    for writes in [20, 60, 100] {
        world.graph.wait_for_counters(PATIENCE, |counters| counters.writes >= writes).await?;
        world.bus.drop_connections();
    }
    world.graph.set_latency(Duration::ZERO);
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    assert_eq!(audit(&world, &scenario)?.faults, [], "{log}");
    Ok(())
}
