//! From the queue to Graph, by the worker's real binary over TCP.

use std::time::Duration;

use tests::{
    PATIENCE,
    audit::audit,
    quick::QUICK,
    scenario::{Mix, Scenario},
    world::{Options, World},
};

const MIX: Mix = Mix {
    users: 40,
    changes: 200,
    strangers: 10,
    sign_ins: 10,
    garbage: 2,
    ghosts: 1,
    bad_links: 1,
    bad_values: 1,
};

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_their_users_and_bad_messages_the_dead_letter_queue() -> anyhow::Result<()> {
    let scenario = Scenario::mixed(MIX, 1);
    let world = World::loaded(Options::default(), &scenario).await?;
    let worker = world.start_worker(&world.layered(&[QUICK])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    let findings = audit(&world, &scenario)?;
    assert_eq!(findings.faults, [], "{log}");
    assert!(log.contains("stopped: 225 received"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_is_followed_by_one_that_reaches_the_same_state() -> anyhow::Result<()>
{
    let scenario = Scenario::mixed(MIX, 2);
    let world =
        World::loaded(Options { lock: Duration::from_secs(5), ..Options::default() }, &scenario).await?;
    // Slow enough to be caught in the middle: every call takes a while, and few run at once.
    world.graph.set_latency(Duration::from_millis(20));
    let settings = world.layered(&[QUICK, "[pool]\nconcurrency = 4\nmessages = 50\n"])?;
    let first = world.start_worker(&settings)?;
    world.graph.wait_for_counters(PATIENCE, |counters| counters.writes >= 15).await?;
    first.kill().await?;
    let second = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    let log = second.stop().await?;
    assert_eq!(audit(&world, &scenario)?.faults, [], "{log}");
    Ok(())
}
