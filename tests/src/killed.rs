//! Commands that are killed at random places, and begun again.

use std::{ops::RangeInclusive, process::Stdio};

use anyhow::{Result, ensure};
use emulator::{broker, dataverse::Dataverse, journal::Event};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    process::Command,
    time::{Duration, Instant, sleep},
};

use crate::{PATIENCE, world::World};

/// How much was asked of the services of a world, and put into its queues, so far: what a command that reads and posts does.
#[must_use]
pub fn steps(world: &World, dataverse: &Dataverse) -> u64 {
    let sent = |event: &Event| matches!(event, Event::Broker(broker::Event::Enqueued { .. }));
    let sent = world.bus.journal().count(sent);
    (dataverse.journal().len() + world.calls().len() + sent) as u64
}

/// Begins a command again and again, and kills it after so many steps, drawn from a range by a seed, until it was killed so
/// often or came to its end. A step is whatever `steps` counts. Returns how often it was killed.
pub async fn killed(
    times: u32,
    seed: u64,
    after: RangeInclusive<u64>,
    command: impl Fn() -> Result<Command>,
    steps: impl Fn() -> Result<u64>,
) -> Result<u32> {
    let mut random = StdRng::seed_from_u64(seed);
    for kill in 0..times {
        let until = steps()? + random.random_range(after.clone());
        let mut child = command()?.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        let deadline = Instant::now() + PATIENCE;
        while steps()? < until {
            if child.try_wait()?.is_some() {
                return Ok(kill);
            }
            ensure!(Instant::now() < deadline, "it stands still at {} of {until} steps", steps()?);
            sleep(Duration::from_millis(1)).await;
        }
        child.kill().await?;
    }
    Ok(times)
}
