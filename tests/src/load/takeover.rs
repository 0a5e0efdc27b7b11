//! How long nothing is written when one replica takes over from another, and whether ever two write side by side.
//!
//! Each replica signs in as an app of its own, so that Graph's journal tells who wrote what.

use std::{collections::BTreeSet, fmt, time::Duration};

use anyhow::Context;
use emulator::graph::{App, Entry, User};
use serde_json::{Value, json};
use shared::lease::session_name;
use uuid::Uuid;

use super::{
    figures::faults,
    mix::{Batch, Mix, user},
    run::{empty, listening, trickle},
};
use crate::{
    quick::GUARDED,
    world::{LEASE_QUEUE, LEASED, Options, QUEUE, Worker, World},
};

/// Why another replica takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The writer is asked to stop.
    Stop,
    /// The writer is killed.
    Kill,
    /// Nothing passes between the writer and Service Bus any more, and neither is told.
    Silence,
    /// Every replica is replaced by a new one, one after the other.
    Upgrade,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stop, Self::Kill, Self::Silence, Self::Upgrade];

    /// Name of the scenario.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Stop => "k-stop",
            Self::Kill => "k-kill",
            Self::Silence => "k-silence",
            Self::Upgrade => "l",
        }
    }

    /// The longest time without a write that is wanted.
    #[must_use]
    pub const fn aim(self) -> Duration {
        Duration::from_secs(match self {
            Self::Stop => 2,
            Self::Kill => 15,
            Self::Silence => 45,
            Self::Upgrade => 3,
        })
    }

    /// How long changes are posted: until another one is sure to write again.
    const fn posting(self) -> Duration {
        Duration::from_secs(match self {
            Self::Stop => 8,
            Self::Kill | Self::Upgrade => 20,
            Self::Silence => 55,
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "the writer is asked to stop",
            Self::Kill => "the writer is killed",
            Self::Silence => "the writer loses Service Bus in silence",
            Self::Upgrade => "all replicas are replaced",
        })
    }
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Takeover {
    /// Why.
    pub cause: Cause,
    /// The longest time without a write while changes came.
    pub gap: Duration,
    /// How often another replica wrote than before.
    pub changes: usize,
    /// Everything that is not as it must be.
    pub faults: Vec<String>,
}

/// Changes a second, as many as Graph lets be written.
const RATE: usize = 20;
const RATE_A_SECOND: f64 = 20.0;
/// Users who are changed in turns.
const USERS: usize = 200;
/// Replicas at a time.
const REPLICAS: usize = 3;
/// How long Graph takes for a call.
const LATENCY: Duration = Duration::from_millis(20);

impl Takeover {
    /// Measures it as often as asked; the one in the middle counts, and one that went wrong before all others.
    pub async fn measure(cause: Cause, repetitions: usize) -> anyhow::Result<Self> {
        let mut all = Vec::with_capacity(repetitions);
        for _ in 0..repetitions {
            let seen = once(cause).await?;
            if !seen.faults.is_empty() {
                return Ok(seen);
            }
            all.push(seen);
        }
        all.sort_by_key(|seen| seen.gap);
        Ok(all.swap_remove(all.len() / 2))
    }

    /// What was wanted, and what it is.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { cause, gap, changes, .. } = self;
        let met = if *gap <= cause.aim() { "meets" } else { "MISSES" };
        format!(
            "{:9} {:8.3} {met} {} s without a write at most: {cause} (changes of the writer: {changes})",
            cause.key(),
            gap.as_secs_f64(),
            cause.aim().as_secs(),
        )
    }

    /// All of it for a program.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "scenario": self.cause.key(), "gap_ms": self.gap.as_secs_f64() * 1e3, "changes": self.changes })
    }
}

async fn once(cause: Cause) -> anyhow::Result<Takeover> {
    crate::binary::build()?;
    let messages = usize::try_from(cause.posting().as_secs())? * RATE;
    let mix = Mix { messages, users: USERS, ..Mix::default() };
    let batch = mix.batch();
    let world = world().await?;
    let mut fleet = Fleet::default();
    for _ in 0..REPLICAS {
        fleet.start(&world)?;
    }
    // The writer alone takes messages.
    listening(&world, 1).await?;
    let (posted, ended) =
        tokio::join!(trickle(&world, &mix, &batch, RATE_A_SECOND), disturb(cause, &world, &mut fleet));
    ended?;
    let until = posted?.last().copied().unwrap_or_default();
    empty(&world).await?;
    world.bus.restore_connections();
    let logs = fleet.stop().await?;
    let mut seen = seen(cause, &batch, &world, until)?;
    if !seen.faults.is_empty() {
        seen.faults.push(logs);
    }
    Ok(seen)
}

async fn world() -> anyhow::Result<World> {
    let mut options = Options::default();
    options.graph.latency = LATENCY;
    options.graph.apps = (0..2 * REPLICAS).map(|number| App { id: app(number), ..App::default() }).collect();
    let world = World::start(options).await?;
    for index in 0..USERS {
        world.graph.add_user(User::new(user(index)))?;
    }
    Ok(world)
}

/// The app as which the replica of that number signs in.
fn app(number: usize) -> Uuid {
    Uuid::from_u128(0xa0_0000 + number as u128)
}

/// The replicas that run.
#[derive(Default)]
struct Fleet {
    started: usize,
    workers: Vec<(Uuid, Worker)>,
    logs: String,
}

impl Fleet {
    fn start(&mut self, world: &World) -> anyhow::Result<&mut Worker> {
        let app = app(self.started);
        self.started += 1;
        let identity = format!("identity.client_id = \"{app}\"");
        let worker = world.start_worker(&world.layered(&[GUARDED, LEASED, &identity])?)?;
        self.workers.push((app, worker));
        Ok(&mut self.workers.last_mut().expect("one was added").1)
    }

    fn remove(&mut self, app: Uuid) -> anyhow::Result<Worker> {
        let place = self.workers.iter().position(|(of, _)| *of == app).context("no replica has this app")?;
        Ok(self.workers.remove(place).1)
    }

    async fn stop_one(&mut self, app: Uuid) -> anyhow::Result<()> {
        let log = self.remove(app)?.stop().await?;
        self.logs += &log;
        Ok(())
    }

    async fn stop(mut self) -> anyhow::Result<String> {
        for (_, worker) in self.workers {
            self.logs += &worker.stop().await?;
        }
        Ok(self.logs)
    }
}

/// Lets what is to happen happen, while changes are posted.
async fn disturb(cause: Cause, world: &World, fleet: &mut Fleet) -> anyhow::Result<()> {
    world
        .until(crate::PATIENCE, "somebody writes", |world| {
            let writes = writes(world).len();
            Ok((writes >= 2 * RATE, writes.to_string()))
        })
        .await?;
    let writer = writes(world).last().and_then(|write| write.app).context("a write is of no app")?;
    match cause {
        Cause::Stop => fleet.stop_one(writer).await,
        Cause::Kill => fleet.remove(writer)?.kill().await,
        Cause::Silence => {
            let silent = world.bus.silence_holder(LEASE_QUEUE, &session_name(QUEUE))?;
            silent.map(drop).context("nobody holds the session")
        }
        Cause::Upgrade => {
            for app in fleet.workers.iter().map(|(app, _)| *app).collect::<Vec<_>>() {
                fleet.start(world)?.page_until("/readyz", |page| page.status == 200).await?;
                fleet.stop_one(app).await?;
            }
            Ok(())
        }
    }
}

/// Writes that took effect, in their order.
fn writes(world: &World) -> Vec<Entry> {
    let mut writes: Vec<_> = world.graph.journal().into_iter().filter(|entry| entry.applied).collect();
    writes.sort_by_key(|write| write.at_us);
    writes
}

fn seen(cause: Cause, batch: &Batch, world: &World, until: Duration) -> anyhow::Result<Takeover> {
    let writes = writes(world);
    let mut faults = faults(batch, world, &writes)?;
    let mut apps: Vec<_> = writes.iter().filter_map(|write| write.app).collect();
    apps.dedup();
    let once: BTreeSet<_> = apps.iter().collect();
    if once.len() != apps.len() {
        faults.push(format!("a replica wrote again after another one had: {apps:?}"));
    }
    let at = |write: &Entry| Duration::from_micros(write.at_us);
    let pairs = writes.windows(2).filter(|pair| at(&pair[0]) <= until);
    let gap = pairs.map(|pair| at(&pair[1]).saturating_sub(at(&pair[0]))).max().unwrap_or_default();
    Ok(Takeover { cause, gap, changes: apps.len().saturating_sub(1), faults })
}
