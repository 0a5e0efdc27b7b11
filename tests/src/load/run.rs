//! One run: a world, a mix in its queue, real worker processes, and what they made of it.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, bail, ensure};
use emulator::{
    broker,
    graph::{DEFAULT_CLIENT_ID, Throttle, User},
    journal::{Event, Role},
};
use serde_amqp::Value;
use servicebus::{Outgoing, Queue};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    figures::{Figures, Observed, is_as},
    mix::{Batch, Mix, Post, user},
    usage::Usage,
};
use crate::{
    explained,
    world::{LEASE_QUEUE, Options, QUEUE, Worker, World},
};

/// Graph's write quota for a run.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// How many times faster than the real one: 10 makes 20 writes a second 200.
    pub scale: f64,
    /// Writes that may be made at once at the beginning.
    pub burst: u32,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Short name.
    pub key: String,
    /// What it shows.
    pub what: String,
    /// What the queue is filled with.
    pub mix: Mix,
    /// Worker processes.
    pub workers: usize,
    /// How long Graph takes for a call.
    pub latency: Duration,
    /// The quota, if any.
    pub quota: Option<Quota>,
    /// `pool.concurrency` of each worker.
    pub concurrency: usize,
    /// Messages a second, one by one; all of them before the start if there is no rate.
    pub rate: Option<f64>,
    /// Messages that wait beside them, put back from the dead letters, each of a user of its own. Their end is not waited
    /// for.
    pub replayed: usize,
    /// Whether the workers have the usual settings, whatever is said here of theirs.
    pub usual: bool,
    /// Whether the workers keep a journal for `explain`.
    pub journal: bool,
    /// Further settings of the workers, as TOML.
    pub settings: String,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            key: "own".to_owned(),
            what: "as described".to_owned(),
            mix: Mix::default(),
            workers: 1,
            latency: Duration::ZERO,
            quota: None,
            concurrency: 64,
            rate: None,
            replayed: 0,
            usual: false,
            journal: false,
            settings: String::new(),
        }
    }
}

/// Longest time for a run.
const PATIENCE: Duration = Duration::from_mins(10);

/// Writes a second of the real quota.
const REAL_RATE: f64 = 20.0;

/// Writes that the real quota saves up.
const REAL_BURST: u32 = 3_000;

impl Run {
    /// Carries it out.
    pub async fn carry_out(&self) -> anyhow::Result<Figures> {
        crate::binary::build()?;
        let batch = self.mix.batch();
        let world = self.world().await?;
        let journal = if self.journal { explained::kept(&world)?.0 } else { String::new() };
        let settings = world.layered(&[&self.base_settings(), &self.settings, &journal])?;
        let start =
            || (0..self.workers).map(|_| world.start_worker(&settings)).collect::<anyhow::Result<Vec<_>>>();
        fill_replayed(&world, &self.mix, self.replayed)?;
        let (workers, started, posted): (Vec<Worker>, _, _) = if let Some(rate) = self.rate {
            self.drain_quota(&world);
            let workers = start()?;
            // Of several replicas the writer alone takes messages.
            listening(&world, 1).await?;
            let started = Instant::now();
            let posted = trickle(&world, &self.mix, &batch, rate).await?;
            (workers, started, posted)
        } else {
            fill(&world, &self.mix, &batch)?;
            self.drain_quota(&world);
            let workers = start()?;
            let started = first_delivery(&world, batch.posts.len()).await?;
            (workers, started, vec![world.graph.age(); batch.posts.len()])
        };
        if self.replayed == 0 {
            empty(&world).await?;
        } else {
            all_newest(&world, &batch).await?;
        }
        let took = started.elapsed();
        let usage = workers.iter().map(|worker| worker.id().map(Usage::of).unwrap_or_default()).collect();
        let mut logs = String::new();
        for worker in workers {
            logs += &worker.stop().await?;
        }
        Figures::of(self, &batch, &world, Observed { took, posted, usage, logs })
    }

    fn drain_quota(&self, world: &World) {
        if let Some(Quota { burst, .. }) = self.quota {
            world.graph.drain_app(DEFAULT_CLIENT_ID, REAL_BURST - burst);
        }
    }

    /// What the quota needs at least for so many writes; nothing without a quota.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub fn least_time(&self, writes: usize) -> Duration {
        self.quota.map_or(Duration::ZERO, |Quota { scale, burst }| {
            Duration::from_secs_f64((writes as f64 - f64::from(burst)).max(0.0) / (REAL_RATE * scale))
        })
    }

    pub(super) async fn world(&self) -> anyhow::Result<World> {
        let mut options = Options { lock: Duration::from_mins(1), ..Options::default() };
        options.graph.latency = self.latency;
        options.graph.journal_capacity = 4 * self.mix.messages + 10_000;
        if let Some(Quota { scale, .. }) = self.quota {
            options.graph.throttle = Throttle::real_quota(scale);
        }
        let world = World::start(options).await?;
        for index in 0..self.mix.users + self.replayed {
            world.graph.add_user(User::new(user(index)))?;
        }
        Ok(world)
    }

    /// Settings of somebody whose directory is as fast as this one.
    fn base_settings(&self) -> String {
        if self.usual {
            return "[telemetry]\nlog_level = \"warn\"\n".to_owned();
        }
        let rate = self.quota.map_or(100_000.0, |quota| REAL_RATE * quota.scale);
        let mut text = format!(
            "[pool]\nconcurrency = {}\nmegabytes = 256\n[throttle]\nwrites_per_second = {rate:?}\n\
             [telemetry]\nlog_level = \"warn\"\n",
            self.concurrency
        );
        if self.workers > 1 {
            // One of them writes. With a mark, as an installation with several has it.
            // Writing to a string cannot fail.
            let _infallible = write!(
                text,
                "[guard]\nattribute = \"extensionAttribute15\"\n[replicas]\nlease_queue = \"{LEASE_QUEUE}\"\n"
            );
        }
        text
    }
}

/// Puts everything into the queue at once, past the wire.
pub(super) fn fill(world: &World, mix: &Mix, batch: &Batch) -> anyhow::Result<()> {
    for posts in batch.posts.chunks(1_000) {
        let messages = posts.iter().map(|post| stored(mix, post)).collect();
        world.store(messages)?;
    }
    Ok(())
}

/// Puts messages beside them into the queue as `contactsync replay` does, one for each of the users after those of the mix.
fn fill_replayed(world: &World, mix: &Mix, count: usize) -> anyhow::Result<()> {
    let replay = uuid::Uuid::new_v4().to_string();
    let messages = (0..count).map(|index| {
        let post = mix.post(index, mix.users + index);
        let mut message = stored(mix, &post);
        message.set_property("contactsync-replays", Value::Long(1));
        message.set_property("contactsync-replay-id", Value::String(replay.clone()));
        message
    });
    world.store(messages.collect())
}

/// Waits until every user of the mix is as the newest change left him.
async fn all_newest(world: &World, batch: &Batch) -> anyhow::Result<()> {
    world
        .until(PATIENCE, "the changes are applied", |world| {
            let late = batch.newest.iter().filter(|(id, number)| !is_as(world, id, **number)).count();
            Ok((late == 0, late.to_string()))
        })
        .await
}

/// A message as the broker keeps it.
fn stored(mix: &Mix, post: &Post) -> broker::Message {
    let id = uuid::Uuid::new_v4().to_string();
    broker::Message::of(&id, mix.format.content_type(), broker::data_section(&post.body))
}

/// Posts one message after the other at a rate, as a client; tells when each was sent, by Graph's clock.
pub(super) async fn trickle(
    world: &World,
    mix: &Mix,
    batch: &Batch,
    rate: f64,
) -> anyhow::Result<Vec<Duration>> {
    let sender = world.sender()?;
    let (mut next, mut posted) = (Instant::now(), Vec::with_capacity(batch.posts.len()));
    for post in &batch.posts {
        sleep_until(next).await;
        next += Duration::from_secs_f64(1.0 / rate);
        posted.push(world.graph.age());
        let message = Outgoing {
            message_id: Some(uuid::Uuid::new_v4().to_string().into()),
            content_type: Some(mix.format.content_type().into()),
            body: post.body.clone().into(),
            ..Outgoing::default()
        };
        sender.send(message).await.context("a message could not be posted")?;
    }
    sender.close().await;
    Ok(posted)
}

/// Waits until so many workers wait for messages.
pub(super) async fn listening(world: &World, workers: usize) -> anyhow::Result<()> {
    let at = |event: &Event| matches!(event, Event::Attached { address, role: Role::Receiver, .. } if address == QUEUE);
    let listening = |world: &World| world.bus.journal().count(at);
    world
        .until(PATIENCE, "the workers have attached", |world| {
            let count = listening(world);
            Ok((count >= workers, count.to_string()))
        })
        .await
}

/// Waits for the moment at which the first message is handed out.
async fn first_delivery(world: &World, messages: usize) -> anyhow::Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    while world.bus.counts(QUEUE)?.ready == messages {
        ensure!(Instant::now() < deadline, "no worker takes a message");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(Instant::now())
}

/// Waits until the queue is empty.
pub(super) async fn empty(world: &World) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counts = world.bus.counts(QUEUE)?;
        if counts.active + counts.scheduled + counts.deferred == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the queue is not empty after {PATIENCE:?}: {counts:?}");
        }
        sleep(Duration::from_millis(2)).await;
    }
}
