//! `peer`: contactsync as one of the workers that a comparison runs in turns, by the contract of such programs:
//! the environment says what to do (`SB_CONN`, `QUEUE`, `GRAPH_BASE`, `TOKEN_URL`, `CLIENT_ID`, `CLIENT_SECRET`,
//! `CONCURRENCY`, `EXPECTED`), and after so many messages one line of JSON says how it went.
//!
//! It starts the real program and looks at it from outside: at the queue by the HTTP interface of the local
//! Service Bus, at processor time and memory by the system.

use std::{io::Write, time::Duration};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use servicebus::ConnectionString;
use tests::load::usage::Usage;
use tokio::{
    process::Child,
    time::{Instant, sleep},
};
use worker::http_client::{Client, Timeouts};

/// Longest time without a message settled.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let task = Task::from_environment()?;
    let folder = tempfile::TempDir::new()?;
    let settings = folder.path().join("contactsync.toml");
    std::fs::write(&settings, task.settings()?)?;
    tests::binary::build()?;
    let queue = QueueWatch::new(&task)?;
    let mut worker =
        tests::binary::command()?.args(["run", "--config"]).arg(&settings).kill_on_drop(true).spawn()?;
    let line = watch(&queue, &mut worker, task.expected).await?;
    let id = worker.id().context("the worker has ended")?;
    tests::world::signal("TERM", id).await?;
    ensure!(worker.wait().await?.success(), "the worker did not end well");
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

struct Task {
    connection: String,
    queue: String,
    graph: String,
    token: String,
    client: String,
    secret: String,
    concurrency: usize,
    expected: usize,
}

#[expect(clippy::disallowed_methods, reason = "the environment is this program's only input")]
fn variable(name: &str, usual: Option<&str>) -> anyhow::Result<String> {
    std::env::var(name).ok().or(usual.map(str::to_owned)).with_context(|| format!("{name} is not set"))
}

impl Task {
    fn from_environment() -> anyhow::Result<Self> {
        let number =
            |name, usual| variable(name, usual)?.parse().with_context(|| format!("{name} is no number"));
        Ok(Self {
            connection: variable("SB_CONN", None)?,
            queue: variable("QUEUE", Some("contacts"))?,
            graph: variable("GRAPH_BASE", None)?,
            token: variable("TOKEN_URL", None)?,
            client: variable("CLIENT_ID", Some("00000000-0000-0000-0000-000000000001"))?,
            secret: variable("CLIENT_SECRET", Some("secret"))?,
            concurrency: number("CONCURRENCY", Some("64"))?,
            expected: number("EXPECTED", None)?,
        })
    }

    /// Settings of somebody whose directory has no quota.
    fn settings(&self) -> anyhow::Result<String> {
        let root = self.graph.trim_end_matches('/').trim_end_matches("/v1.0");
        let place = self.token.strip_suffix("/oauth2/v2.0/token").context("TOKEN_URL is of another form")?;
        let (authority, tenant) = place.rsplit_once('/').context("TOKEN_URL has no tenant")?;
        let Self { connection, queue, client, secret, concurrency, .. } = self;
        Ok(format!(
            r#"[service_bus]
connection_string = "{connection}"
queue = "{queue}"
[graph]
root = "{root}"
[identity]
authority = "{authority}"
tenant = "{tenant}"
client_id = "{client}"
client_secret = "{secret}"
[pool]
concurrency = {concurrency}
[throttle]
writes_per_second = 100000.0
[retry]
not_found_grace = "0s"
[telemetry]
log_level = "error"
"#
        ))
    }
}

/// Looks at the queue without touching it.
struct QueueWatch {
    http: Client,
    url: String,
    queue: String,
}

#[derive(Clone, Copy, Debug)]
struct Counts {
    active: usize,
    locked: usize,
    dead: usize,
}

impl QueueWatch {
    fn new(task: &Task) -> anyhow::Result<Self> {
        let parsed = ConnectionString::parse(&task.connection)?;
        // The local Service Bus speaks HTTP on the port of AMQP too.
        let url = format!("http://{}/$emulator/queues", parsed.endpoint.authority());
        let patience = Timeouts { connect: PATIENCE, request: PATIENCE };
        Ok(Self { http: Client::new(patience, None)?, url, queue: task.queue.clone() })
    }

    async fn look(&self) -> anyhow::Result<Counts> {
        let answer = self.http.direct().get(&self.url).send().await?.bytes().await?;
        let all: Value = serde_json::from_slice(&answer)?;
        let dead = format!("{}/$DeadLetterQueue", self.queue);
        let count = |place: &str, state| {
            let count = all[place][state].as_u64().and_then(|count| usize::try_from(count).ok());
            count.with_context(|| format!("there is no queue {place}"))
        };
        Ok(Counts {
            active: count(&self.queue, "active")? + count(&self.queue, "scheduled")?,
            locked: count(&self.queue, "locked")?,
            dead: count(&dead, "active")?,
        })
    }
}

async fn watch(queue: &QueueWatch, worker: &mut Child, expected: usize) -> anyhow::Result<Value> {
    let mut last = queue.look().await?;
    let dead_before = last.dead;
    let mut moved = Instant::now();
    let mut first = None;
    loop {
        if worker.try_wait()?.is_some() {
            bail!("the worker has ended by itself");
        }
        let counts = queue.look().await?;
        let usage = worker.id().map(Usage::of).unwrap_or_default();
        if first.is_none() && (counts.locked > 0 || counts.active < expected) {
            first = Some((Instant::now(), usage.cpu));
        }
        if let (0, Some((started, before))) = (counts.active, first) {
            let (took, cpu) = (started.elapsed(), usage.cpu.saturating_sub(before));
            return Ok(line(expected, counts.dead - dead_before, took, cpu, usage));
        }
        if counts.active != last.active {
            moved = Instant::now();
        }
        ensure!(moved.elapsed() < PATIENCE, "nothing happens any more: {counts:?}");
        last = counts;
        // Looking costs the local Service Bus time that the worker would have.
        let pause = if first.is_none() || counts.active < 1_000 { 1 } else { 10 };
        sleep(Duration::from_millis(pause)).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn line(settled: usize, dead: usize, took: Duration, cpu: Duration, usage: Usage) -> Value {
    let messages = settled.max(1) as f64;
    json!({
        "peer": format!("contactsync {}", env!("CARGO_PKG_VERSION")),
        "settled": settled,
        "dead_lettered": dead,
        "elapsed_s": took.as_secs_f64(),
        "msgs_per_s": (messages / took.as_secs_f64() * 10.0).round() / 10.0,
        "cpu_ms_per_msg": (cpu.as_secs_f64() * 1e7 / messages).round() / 1e4,
        "cpu_total_s": usage.cpu.as_secs_f64(),
        "max_rss_mb": (usage.peak as f64 / 1e5).round() / 10.0,
    })
}
