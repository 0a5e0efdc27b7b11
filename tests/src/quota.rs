//! How close replicas come to Graph's write quota: a backlog, several workers, and the figures.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::ensure;
use emulator::{
    broker,
    graph::{DEFAULT_CLIENT_ID, Entry, Kind, Throttle, User},
    journal::Event,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    message::{ContactChange, moment},
    world::{LEASE_QUEUE, Options, World},
};

/// What is to be done, and how fast the quota's clock runs.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Changes in the backlog.
    pub changes: usize,
    /// Users they are spread over.
    pub users: usize,
    /// Workers that share the quota without knowing of each other.
    pub replicas: usize,
    /// How many times faster than the real one the quota is: 10 makes 20 writes a second 200.
    pub scale: f64,
    /// How long Graph takes for a real call; the scale divides it as it divides everything else.
    pub latency: Duration,
}

impl Load {
    /// What an outage of a night leaves behind at two replicas. At the real speed, and for more than a minute, so that the seconds
    /// in which they start, agree on who writes and find the bucket empty are a small part of it.
    pub const BACKLOG: Self =
        Self { changes: 10_000, users: 1_500, replicas: 2, scale: 1.0, latency: Duration::from_millis(200) };

    /// Writes a second that the quota allows.
    #[must_use]
    pub fn rate(&self) -> f64 {
        20.0 * self.scale
    }

    /// The settings of an installation, on the faster clock.
    fn settings(&self) -> String {
        let rate = self.rate();
        format!(
            "[throttle]\nwrites_per_second = {rate:?}\n[telemetry]\nlog_level = \"warn\"\n\
             [replicas]\nlease_queue = \"{LEASE_QUEUE}\"\n"
        )
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Figures {
    /// From the moment at which the quota's bucket was empty, with the workers' start, until the queue was.
    pub took: Duration,
    /// Writes that took effect.
    pub writes: usize,
    /// Answers with 429.
    pub throttled: usize,
    /// All calls to Graph.
    pub calls: usize,
    /// What the quota takes at least for these writes, beginning with an empty bucket.
    pub allowed: Duration,
    /// Changes carried by a write, on average.
    pub changes_per_write: f64,
    /// Changes that were neither written nor superseded nor dead-lettered.
    pub lost: usize,
    /// Users whose value is none of theirs. (Without a guard, two replicas may write one user's changes in
    /// the wrong order; that is not what is measured here.)
    pub wrong_users: usize,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<String, usize>,
    /// Logs of the workers, in case something is wrong.
    pub logs: String,
}

impl Figures {
    /// Time taken, as a multiple of what the quota takes at least.
    #[must_use]
    pub fn slowness(&self) -> f64 {
        self.took.as_secs_f64() / self.allowed.as_secs_f64()
    }

    /// Share of the calls that were answered 429.
    #[must_use]
    pub fn throttled_share(&self) -> f64 {
        share(self.throttled, self.calls)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "writes            {}  ({:.2} changes each)", self.writes, self.changes_per_write)?;
        writeln!(
            f,
            "answered 429      {} of {} calls  ({:.2} %)",
            self.throttled,
            self.calls,
            self.throttled_share() * 100.0
        )?;
        writeln!(f, "the quota takes   {:.1} s", self.allowed.as_secs_f64())?;
        writeln!(f, "it took           {:.1} s", self.took.as_secs_f64())?;
        write!(f, "slowness          {:.3}", self.slowness())
    }
}

/// Puts the load on and waits until it is done.
pub async fn run(load: Load) -> anyhow::Result<Figures> {
    let mut options = Options::default();
    options.graph.throttle = Throttle::real_quota(load.scale);
    options.graph.latency = load.latency.div_f64(load.scale);
    options.graph.journal_capacity = load.changes * 4;
    let world = World::start(options).await?;
    for number in 0..load.users {
        world.graph.add_user(User::new(user(number)))?;
    }
    let (changes, expected) = backlog(load);
    world.post_changes(&changes).await?;
    // Not while the bucket fills up.
    crate::binary::build()?;
    let settings = world.layered(&[&load.settings()])?;
    // A bucket that is full at first would hide everything: it holds the writes of two and a half minutes.
    world.graph.drain_app(DEFAULT_CLIENT_ID, 3_000);
    let started = Instant::now();
    let workers =
        (0..load.replicas).map(|_| world.start_worker(&settings)).collect::<anyhow::Result<Vec<_>>>()?;
    world.drained(Duration::from_mins(20)).await?;
    let took = started.elapsed();
    let mut logs = String::new();
    for worker in workers {
        logs += &worker.stop().await?;
    }
    figures(&world, load, &expected, took, logs)
}

fn figures(
    world: &World,
    load: Load,
    expected: &BTreeMap<Uuid, Vec<String>>,
    took: Duration,
    logs: String,
) -> anyhow::Result<Figures> {
    let calls: Vec<Entry> =
        world.graph.journal().into_iter().filter(|entry| entry.kind == Kind::Graph).collect();
    ensure!(calls.len() < load.changes * 4, "the journal has forgotten the beginning");
    let writes: Vec<_> = calls.iter().filter(|call| call.applied).collect();
    let mut dead_letters = BTreeMap::new();
    for reason in world.reasons()? {
        *dead_letters.entry(reason).or_default() += 1;
    }
    let right = |id: &Uuid, names: &[String]| {
        world
            .graph
            .user(*id)
            .is_some_and(|user| names.iter().any(|name| user.text("givenName") == Some(name)))
    };
    let completed = world.bus.journal().count(|event| {
        matches!(event, Event::Broker(broker::Event::Settled { how: broker::Settled::Completed, .. }))
    });
    Ok(Figures {
        took,
        writes: writes.len(),
        throttled: calls.iter().filter(|call| call.status == Some(429)).count(),
        calls: calls.len(),
        allowed: Duration::from_secs_f64(share(writes.len(), 1) / load.rate()),
        changes_per_write: share(load.changes, writes.len()),
        lost: load.changes.saturating_sub(completed),
        wrong_users: expected.iter().filter(|(id, names)| !right(id, names)).count(),
        dead_letters,
        logs,
    })
}

/// Changes in the order of their versions, and the first names that each user may end up with.
fn backlog(load: Load) -> (Vec<ContactChange>, BTreeMap<Uuid, Vec<String>>) {
    let mut rng = StdRng::seed_from_u64(20_260_302);
    let mut expected: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    let changes = (0..load.changes)
        .map(|at| {
            let id = user(rng.random_range(0..load.users));
            let name = format!("v{at}");
            expected.entry(id).or_default().push(name.clone());
            ContactChange::new(id, moment(at))
                .set("adx_identity_username", id.to_string())
                .set("firstname", name)
        })
        .collect();
    (changes, expected)
}

fn user(number: usize) -> Uuid {
    Uuid::from_u128(0x1111_1111_2222_4333_8444_0000_0000_0000 + number as u128)
}
