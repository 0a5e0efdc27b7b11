//! How quickly a worker starts, and how much memory it holds while it has nothing or far too much to do.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    figures::ratio,
    mix::Mix,
    run::{Run, fill, listening},
    usage::Usage,
};
use crate::world::World;

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// From the start of the process to the first change in Graph.
    pub first: Duration,
    /// Resident memory after a while without messages, in bytes.
    pub idle: u64,
    /// Most memory while a queue of [`WAITING`] messages is worked off at Graph's real rate, in bytes.
    pub laden: u64,
    /// Length of the program, in bytes.
    pub program: u64,
}

/// Messages in the long queue.
pub const WAITING: usize = 200_000;

/// How long memory is watched.
const WATCH: Duration = Duration::from_secs(4);

impl Start {
    /// Measures it.
    pub async fn measure(waiting: usize) -> anyhow::Result<Self> {
        let program = crate::binary::size()?;
        Ok(Self { first: first().await?, idle: idle().await?, laden: laden(waiting).await?, program })
    }

    /// All of it for a program.
    #[must_use]
    pub fn json(&self) -> Value {
        let megabytes = |bytes: u64| ratio(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6;
        json!({
            "scenario": "f", "first_applied_ms": self.first.as_secs_f64() * 1e3,
            "idle_mb": megabytes(self.idle), "laden_mb": megabytes(self.laden),
            "program_mb": megabytes(self.program),
        })
    }
}

/// The settings of an installation: all as by default, but for the log.
const SETTINGS: &str = "[telemetry]\nlog_level = \"warn\"\n";

async fn first() -> anyhow::Result<Duration> {
    let mix = Mix { messages: 1, users: 1, ..Mix::default() };
    let world = Run { mix, ..Run::default() }.world().await?;
    fill(&world, &mix, &mix.batch())?;
    let settings = world.layered(&[SETTINGS])?;
    let started = Instant::now();
    let worker = world.start_worker(&settings)?;
    while world.graph.counters().writes == 0 {
        anyhow::ensure!(started.elapsed() < crate::PATIENCE, "nothing is applied: {}", worker.log()?);
        sleep(Duration::from_millis(1)).await;
    }
    let first = started.elapsed();
    worker.stop().await?;
    Ok(first)
}

async fn idle() -> anyhow::Result<u64> {
    let mix = Mix { messages: 0, users: 0, ..Mix::default() };
    let world = Run { mix, ..Run::default() }.world().await?;
    let worker = world.start_worker(&world.layered(&[SETTINGS])?)?;
    listening(&world, 1).await?;
    sleep(WATCH).await;
    let usage = Usage::of(worker.id().context("the worker has ended")?);
    worker.stop().await?;
    Ok(usage.resident)
}

async fn laden(waiting: usize) -> anyhow::Result<u64> {
    let mix = Mix { messages: waiting, users: waiting, ..Mix::default() };
    let world: World = Run { mix, ..Run::default() }.world().await?;
    fill(&world, &mix, &mix.batch())?;
    let worker = world.start_worker(&world.layered(&[SETTINGS])?)?;
    listening(&world, 1).await?;
    sleep(WATCH).await;
    let usage = Usage::of(worker.id().context("the worker has ended")?);
    worker.stop().await?;
    Ok(usage.peak)
}
