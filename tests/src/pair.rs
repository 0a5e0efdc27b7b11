//! Two directories that take the same changes by a topic with a subscription for each, as while people move from one to the
//! other.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use emulator::{
    broker::{EntityOptions, Filter, Rule, SqlFilter, View},
    bus::{self, ServiceBus, Subscription},
    graph::{self, Graph, User},
};
use servicebus::{ConnectionString, amqp, clock};
use uuid::Uuid;

use crate::{
    PATIENCE, binary,
    message::ContactChange,
    quick::{QUICK, user},
    steps::post_by,
    world::{Options, Worker, World},
};

/// The topic.
pub const TOPIC: &str = "both";

/// Names of the targets, which are those of their subscriptions.
pub const TARGETS: [&str; 2] = ["b2c", "external-id"];

/// A world with a second directory, and a topic for both.
pub struct Pair {
    /// The first directory, and a folder.
    pub world: World,
    /// The other directory.
    pub second: Graph,
    /// The Service Bus of both.
    pub bus: ServiceBus,
}

impl Pair {
    /// With the rules that the guide has for subscriptions, or without.
    pub async fn start(with_rules: bool) -> Result<Self> {
        Self::start_with(Options::default(), EntityOptions::default(), with_rules).await
    }

    /// The same with another world around the first directory, and other subscriptions.
    pub async fn start_with(options: Options, entity: EntityOptions, with_rules: bool) -> Result<Self> {
        let world = World::start(options).await?;
        let options = graph::Options { profile: graph::Profile::ExternalId, ..graph::Options::default() };
        let second = Graph::start(options).await?;
        std::fs::write(world.folder().join("second.pem"), second.ca_pem())?;
        let subscription = |name: &str| -> Result<Subscription> {
            let text = format!("NOT EXISTS([contactsync-for-target]) OR [contactsync-for-target] = '{name}'");
            let filter = Filter::Sql(SqlFilter::parse(&text)?);
            let rule = Rule { name: "own".to_owned(), filter, action: None };
            let rules = if with_rules { vec![rule] } else { Vec::new() };
            Ok(Subscription { name: name.to_owned(), options: entity.clone(), rules })
        };
        let lease = EntityOptions { requires_session: true, ..EntityOptions::default() };
        let options = bus::Options::default()
            .topic(TOPIC, vec![subscription("b2c")?, subscription("external-id")?])
            .queue_with("lease", lease);
        Ok(Self { world, second, bus: ServiceBus::start(options).await? })
    }

    /// Adds users without values to both, with the same object ids.
    pub fn add_users(&self, numbers: std::ops::RangeInclusive<u128>) -> Result<()> {
        for number in numbers {
            self.world.graph.add_user(User::new(user(number)))?;
            self.second.add_user(User::new(user(number)))?;
        }
        Ok(())
    }

    /// Writes a settings file with both targets; `extra` counts for both.
    pub fn settings(&self, extra: &str) -> Result<PathBuf> {
        self.settings_with(extra, ["", "guard.attribute = \"extensionAttribute7\""])
    }

    /// The same with settings of each target by itself.
    pub fn settings_with(&self, extra: &str, of_each: [&str; 2]) -> Result<PathBuf> {
        let (folder, first, second) = (self.world.folder(), &self.world.graph, &self.second);
        let identity = |graph: &Graph| {
            format!(
                "graph.root = \"{}\"\nidentity.authority = \"{}\"\nidentity.tenant = \"{}\"",
                graph.http_url(),
                graph.https_url(),
                graph.tenant().id
            )
        };
        let text = format!(
            r#"{QUICK}
[service_bus]
connection_string = "{}"
topic = "{TOPIC}"
[identity]
client_id = "{}"
client_secret = "{}"
[http]
listen = "127.0.0.1:0"
{extra}
[[target]]
name = "b2c"
service_bus.subscription = "b2c"
connection.ca_file = "{}"
{}
{}
[[target]]
name = "external-id"
service_bus.subscription = "external-id"
connection.ca_file = "{}"
{}
{}
"#,
            self.bus.connection_string(),
            graph::DEFAULT_CLIENT_ID,
            graph::DEFAULT_SECRET,
            folder.join("ca.pem").display(),
            identity(first),
            of_each[0],
            folder.join("second.pem").display(),
            identity(second),
            of_each[1],
        );
        let path = folder.join(format!("targets-{}.toml", Uuid::new_v4()));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts a worker for both.
    pub fn worker(&self, extra: &str) -> Result<Worker> {
        self.world.start_worker(&self.settings(extra)?)
    }

    /// Posts changes to the topic, in this order.
    pub async fn post(&self, changes: &[ContactChange]) -> Result<()> {
        let connection = ConnectionString::parse(&self.bus.connection_string())?;
        let settings = amqp::Settings::from_connection_string(&connection, TOPIC, clock::now);
        post_by(&amqp::AmqpQueue::open_without_intake(&settings)?, changes).await
    }

    /// The directory of a target.
    #[must_use]
    pub fn of(&self, name: &str) -> &Graph {
        if name == "b2c" { &self.world.graph } else { &self.second }
    }

    /// Waits until these users of a directory have the name.
    pub async fn are(&self, target: &str, numbers: std::ops::RangeInclusive<u128>, name: &str) -> Result<()> {
        let all = numbers.clone().count();
        let what = format!("users {numbers:?} of {target} are called {name}");
        let graph = self.of(target);
        self.world
            .until(PATIENCE, &what, |_| {
                let is_named = |number: &u128| {
                    graph.user(user(*number)).is_some_and(|user| user.text("givenName") == Some(name))
                };
                let named = numbers.clone().filter(is_named).count();
                Ok((named == all, format!("{named} of {all}")))
            })
            .await
    }

    /// Writes that a directory has answered so.
    #[must_use]
    pub fn writes(&self, target: &str, status: u16) -> usize {
        let journal = self.of(target).journal();
        journal.iter().filter(|entry| entry.method == "PATCH" && entry.status == Some(status)).count()
    }

    /// Waits until nothing waits for a target any more.
    pub async fn emptied(&self, target: &str) -> Result<()> {
        let address = format!("{TOPIC}/Subscriptions/{target}");
        self.world
            .until(PATIENCE, "nothing waits", |_| {
                let (counts, topic) = (self.bus.counts(&address)?, self.bus.counts(TOPIC)?);
                let left = counts.active + counts.deferred + topic.scheduled;
                Ok((left == 0, format!("{counts:?} {topic:?}")))
            })
            .await
    }

    /// The dead letters of a target, oldest first.
    pub fn dead_letters(&self, target: &str) -> Result<Vec<View>> {
        Ok(self.bus.contents(&format!("{TOPIC}/Subscriptions/{target}/$DeadLetterQueue"))?)
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it said besides.
    pub err: String,
}

/// Carries a command of the real binary out with these settings.
pub async fn contactsync(settings: &Path, arguments: &str) -> Result<Done> {
    let mut command = binary::command()?;
    command.args(arguments.split_whitespace()).arg("--config").arg(settings).stdin(Stdio::null());
    let output = command.kill_on_drop(true).output().await.context("contactsync cannot be started")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}
