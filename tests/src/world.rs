//! A small world on this machine: a local Service Bus, a local Graph, and the real worker between them.

use std::{
    fmt::Write as _,
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use emulator::{
    access::{Access, Entra},
    broker::{self, EntityOptions},
    bus::{self, ServiceBus, Subscription},
    ca::Ca,
    graph::{self, Audience, Graph, User},
    sas::{self, Claims},
};
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use servicebus::{ConnectionString, Outgoing, Queue, amqp};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{binary, scenario::Scenario};

/// Name of the queue.
pub const QUEUE: &str = "contacts";

/// Name of its dead-letter queue.
pub const DEAD_LETTERS: &str = "contacts/$DeadLetterQueue";

/// Name of the queue by whose session replicas agree on who writes.
pub const LEASE_QUEUE: &str = "contacts-lease";

/// Settings of one of several replicas.
pub const LEASED: &str = "replicas.lease_queue = \"contacts-lease\"";

/// Messages that wait for their confirmation at once when a scenario is posted.
const POSTED_AT_ONCE: usize = 64;

/// Name of the topic.
pub const TOPIC: &str = "changes";

/// Name of its one subscription.
pub const SUBSCRIPTION: &str = "portal";

/// The services, and a folder for what belongs to them.
pub struct World {
    /// The local Service Bus.
    pub bus: ServiceBus,
    /// The local Graph. The local Service Bus asks it about Entra tokens.
    pub graph: Arc<Graph>,
    folder: TempDir,
}

/// How a world differs from the usual.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a delivery stays locked.
    pub lock: Duration,
    /// After so many failed deliveries the service dead-letters a message.
    pub max_delivery_count: u32,
    /// How long message ids are remembered, if the queue is to drop duplicates.
    pub duplicate_window: Option<Duration>,
    /// By how much the clock of Service Bus is ahead of ours; behind if negative.
    pub ahead: SignedDuration,
    /// The local Graph.
    pub graph: graph::Options,
}

impl Default for Options {
    fn default() -> Self {
        // A profile without the rule of ten mail addresses: scenarios change an address more often than that.
        let graph = graph::Options { profile: graph::Profile::ExternalId, ..graph::Options::default() };
        let (lock, ahead) = (Duration::from_secs(30), SignedDuration::ZERO);
        Self { lock, max_delivery_count: 10, duplicate_window: None, ahead, graph }
    }
}

impl World {
    /// Starts the services on free ports.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let entity = EntityOptions {
            lock_duration: options.lock,
            max_delivery_count: options.max_delivery_count,
            duplicate_window: options.duplicate_window,
            ..EntityOptions::default()
        };
        let subscription =
            Subscription { name: SUBSCRIPTION.to_owned(), options: entity.clone(), rules: Vec::new() };
        let ca = Ca::new()?;
        let graph = Arc::new(Graph::start_with_ca(options.graph, &ca).await?);
        let mut bus =
            bus::Options::default().tls().queue_with(QUEUE, entity).topic(TOPIC, vec![subscription]);
        // As the guide says.
        let lease = EntityOptions {
            requires_session: true,
            lock_duration: Duration::from_secs(30),
            ..EntityOptions::default()
        };
        bus = bus.queue_with(LEASE_QUEUE, lease);
        let rules = vec![sas::Rule::default(), worker_rule()];
        bus.access = Access { rules, entra: tokens_of(&graph), ..Access::default() };
        bus.ahead = options.ahead;
        let bus = ServiceBus::start_with_ca(bus, &ca).await?;
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("ca.pem"), graph.ca_pem())?;
        Ok(Self { bus, graph, folder })
    }

    /// A folder that lives as long as the world.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the services with the users of a scenario, all of its messages waiting in the queue.
    pub async fn loaded(options: Options, scenario: &Scenario) -> anyhow::Result<Self> {
        let world = Self::start(options).await?;
        world.add_users(scenario)?;
        world.post(scenario, |_| {}).await?;
        Ok(world)
    }

    /// Adds the users of a scenario as they are before it.
    pub fn add_users(&self, scenario: &Scenario) -> anyhow::Result<()> {
        for (id, person) in &scenario.before {
            let user = person
                .properties()
                .into_iter()
                .fold(User::new(*id).with("displayName", "Portal user"), |user, (name, value)| {
                    user.with(name, value)
                });
            self.graph.add_user(user)?;
        }
        Ok(())
    }

    /// Opens the queue for sending, as a client over TCP.
    pub fn sender(&self) -> anyhow::Result<amqp::AmqpQueue> {
        let connection = ConnectionString::parse(&self.bus.connection_string())?;
        let settings = amqp::Settings::from_connection_string(&connection, QUEUE, servicebus::clock::now);
        Ok(amqp::AmqpQueue::open_without_intake(&settings)?)
    }

    /// Posts the messages of a scenario in order, telling `progress` after each.
    pub async fn post(&self, scenario: &Scenario, mut progress: impl FnMut(usize)) -> anyhow::Result<()> {
        let sender = self.sender()?;
        // Many are under way at once, as Dataverse's own are; they are put on the wire in order.
        let mut confirmed = stream::iter(&scenario.postings)
            .map(|posting| {
                sender.send(Outgoing {
                    message_id: Some(uuid::Uuid::new_v4().to_string().into()),
                    content_type: Some(posting.content_type.into()),
                    body: posting.body.clone().into(),
                    ..Outgoing::default()
                })
            })
            .buffered(POSTED_AT_ONCE)
            .enumerate();
        while let Some((number, sent)) = confirmed.next().await {
            sent.context("a message could not be posted")?;
            progress(number + 1);
        }
        drop(confirmed);
        sender.close().await;
        Ok(())
    }

    /// A connection string of a rule that may listen and send, but not manage: all that a worker needs.
    #[must_use]
    pub fn worker_connection_string(&self) -> String {
        self.bus.connection_string_for(&worker_rule())
    }

    /// Lets the queue take any number of messages.
    pub fn unbound(&self) -> anyhow::Result<()> {
        Ok(self.bus.broker(|broker, _| {
            let queue = broker.resolve(QUEUE)?;
            let options = broker.options(queue)?.clone();
            broker.set_options(queue, EntityOptions { max_size: u64::MAX, ..options })
        })?)
    }

    /// Puts messages into the queue at once, past the wire and whatever its size, for long queues.
    pub fn store(&self, messages: Vec<broker::Message>) -> anyhow::Result<()> {
        self.unbound()?;
        self.bus.broker(|broker, now| broker.send(broker.resolve(QUEUE)?, messages, now))?;
        Ok(())
    }

    /// Writes a settings file for the worker; `extra` is appended as it is.
    pub fn settings(&self, extra: &str) -> anyhow::Result<PathBuf> {
        let mut text = String::new();
        write!(
            text,
            r#"[service_bus]
connection_string = "{}"
queue = "{QUEUE}"
[graph]
root = "{}"
[connection]
ca_file = "{}"
[identity]
authority = "{}"
tenant = "{}"
client_id = "{}"
client_secret = "{}"
[http]
listen = "127.0.0.1:0"
{extra}"#,
            self.bus.connection_string(),
            self.graph.http_url(),
            self.folder().join("ca.pem").display(),
            self.graph.https_url(),
            self.graph.tenant().id,
            graph::DEFAULT_CLIENT_ID,
            graph::DEFAULT_SECRET,
        )?;
        let path = self.folder().join(format!("contactsync-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts the worker's real binary with these settings. Its log goes to a file of the world's folder.
    pub fn start_worker(&self, settings: &Path) -> anyhow::Result<Worker> {
        self.start_worker_with(settings, &[])
    }

    /// The same with further variables in its environment.
    pub fn start_worker_with(&self, settings: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Worker> {
        let log = settings.with_extension("log");
        let child = binary::command()?
            .args(["run", "--config"])
            .arg(settings)
            // Nobody wants to wait half a minute for an export.
            .env("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("the worker cannot be started")?;
        Ok(Worker { child, log })
    }

    /// Waits until the queue itself is empty: nothing waiting, locked or scheduled.
    pub async fn drained(&self, patience: Duration) -> anyhow::Result<()> {
        self.until(patience, "the queue is empty", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.active + counts.scheduled + counts.deferred == 0, format!("{counts:?}")))
        })
        .await
    }

    /// Polls until a condition holds; if it never does, says what was seen last.
    pub async fn until(
        &self,
        patience: Duration,
        what: &str,
        mut holds: impl FnMut(&Self) -> anyhow::Result<(bool, String)>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let (done, seen) = holds(self)?;
            if done {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not within {patience:?}: {what}; last seen: {seen}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn worker_rule() -> sas::Rule {
    let claims = Claims { manage: false, ..Claims::ALL };
    sas::Rule { name: "worker".into(), key: "WORKER_KEY".into(), claims, entity: None }
}

/// Lets the Service Bus take the tokens that the Graph's authority has issued for it.
fn tokens_of(graph: &Arc<Graph>) -> Entra {
    let graph = Arc::clone(graph);
    Entra::checked(move |token| {
        let grant = graph.look_up_token(token, Audience::ServiceBus)?;
        Some(grant.expires.saturating_duration_since(Instant::now()))
    })
}

/// A running worker. It is killed when this is dropped.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

/// Sends a signal. Every shell can; the program `kill` is not on every machine that has a toolchain.
pub async fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    let command = format!("kill -{name} {process}");
    let sent = Command::new("sh").args(["-c", &command]).status().await?;
    ensure!(sent.success(), "process {process} cannot be sent {name}");
    Ok(())
}

impl Worker {
    /// Its process, if it still runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.ended()?.is_none())
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to stop, and goes on at once.
    pub async fn ask_to_stop(&self) -> anyhow::Result<()> {
        let Some(id) = self.child.id() else { bail!("the worker ended by itself:\n{}", self.log()?) };
        signal("TERM", id).await.context("the worker is gone")
    }

    /// Asks it to stop, and waits until it has; fails unless it says that all is well.
    pub async fn stop(self) -> anyhow::Result<String> {
        self.ask_to_stop().await?;
        self.stopped().await
    }

    /// Waits until it has stopped; fails unless it says that all is well.
    pub async fn stopped(mut self) -> anyhow::Result<String> {
        let status = self.child.wait().await?;
        ensure!(status.success(), "the worker ended with {status}:\n{}", self.log()?);
        self.log()
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// What it has logged so far.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}
