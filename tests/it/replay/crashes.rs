//! Killed at any moment, a replay loses nothing.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use anyhow::Result;
use emulator::graph::User;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tests::{
    message::moment,
    world::{DEAD_LETTERS, Options, QUEUE, World},
};
use tokio::{process::Child, time::sleep};

use super::{Dead, GUARDED, PATIENCE, QUICK, bury, change, command, contactsync, ids, user};

const MESSAGES: u128 = 40;
const KILLS: usize = 100;

/// Kills a replay when this many messages are in the queue. False if it has ended by itself before.
async fn kill_at(world: &World, mut child: Child, messages: usize) -> Result<bool> {
    while world.bus.counts(QUEUE)?.active < messages && child.try_wait()?.is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    let runs = child.try_wait()?.is_none();
    child.kill().await?;
    Ok(runs)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_a_hundred_moments_a_replay_never_loses_a_message() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let letters: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let change = change(n, moment(1_000)).set("firstname", format!("Name {n}"));
            Dead::new(format!("m-{n}"), change.body(), "GraphRefused")
        })
        .collect();
    let all: BTreeSet<_> = letters.iter().map(|letter| letter.id.clone()).collect();
    bury(&world, &letters)?;
    let settings = world.layered(&[QUICK, GUARDED])?;
    let mut rng = StdRng::seed_from_u64(41);
    let (mut kills, mut in_the_middle) = (0, 0);
    while kills < KILLS || in_the_middle <= KILLS / 10 {
        assert!(kills < 10 * KILLS, "only {in_the_middle} kills hit a replay at work");
        kills += 1;
        let (before, left) = (world.bus.counts(QUEUE)?.active, world.bus.counts(DEAD_LETTERS)?.active);
        let more = rng.random_range(0..=left);
        // Each kill can leave a message twice, and nobody reads here: a full pipe would keep the replay waiting.
        let child = command(&settings, "replay --all --rate 400 --json")?.stdout(Stdio::null()).spawn()?;
        let killed = kill_at(&world, child, before + more).await?;
        let (dead, back) = (ids(&world, DEAD_LETTERS)?, ids(&world, QUEUE)?);
        in_the_middle += usize::from(killed && back.len() > before && !dead.is_empty());
        let here: BTreeSet<_> = dead.iter().chain(&back).cloned().collect();
        assert_eq!(here, all, "after kill {kills}");
        // In an installation the next run waits until the locks have lapsed.
        world.bus.lapse_locks(DEAD_LETTERS, None)?;
        if dead.is_empty() {
            // Everything is put back: it all fails again, so that there is something to kill for.
            super::copies::refuse_all(&world)?;
        }
    }
    println!("{in_the_middle} of {kills} kills hit a replay at work");
    // And what was done twice does no harm: the rest is put back, and a worker applies all of it.
    for number in 0..MESSAGES {
        world.graph.add_user(User::new(user(number)).with("displayName", "Portal user"))?;
    }
    contactsync(&settings, "replay --all --rate 1000").await?.expect(0);
    let worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 0);
    for number in 0..MESSAGES {
        let name = format!("Name {number}");
        assert_eq!(world.user(user(number))?.get("givenName"), json!(name));
    }
    Ok(())
}
