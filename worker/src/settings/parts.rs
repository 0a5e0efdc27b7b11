//! The sections of the settings, each in one row: those that can be used one by one, and all of them together.

use std::path::Path;

use shared::{
    admission::Terms,
    change::Operation,
    engine::EnginePolicy,
    plan::{LinkRule, Planner},
    reconcile::ReadPolicy,
    target::{Addressee, TargetName},
};

use super::{
    bus::{self, Bus, MessageSource},
    cloud::{self, Cloud},
    dataverse::{self, Dataverse},
    entry::Entries,
    identity,
    mapping::{self, LinkUnseen},
    needs::{Everything, Needed, Needs},
    notify::{self, Notify},
    observing::{self, Http, JournalPolicy, Telemetry},
    problem::{SettingsProblem, SettingsProblems},
    reader::{Reader, Rules},
    reconcile::{self, Reconcile},
    sections::{self, Connection, Graph, Guard, Replicas, ShellPolicy},
    source::{Layers, Sources, Surroundings},
};
use crate::identity::Identity;

/// The type of a section in settings: its own, or what is needed of it.
macro_rules! kind {
    ($kind:ty) => {
        $kind
    };
    ($kind:ty, $needed:ident) => {
        N::$needed
    };
}

/// A section on its way from what was read.
macro_rules! taken {
    ($read:expr) => {
        $read?
    };
    ($read:expr, $needed:ident) => {
        Needed::taken($read)?
    };
}

/// Rows of `name: type = how it is read`, and `name: type, need` where not every command needs it. Sections are read in this order, which is that of the mistakes told.
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident: $kind:ty $(, $needed:ident)? = $read:expr;)*) => {
        /// Every section that can be used, so that it can be looked at although another is wrong.
        pub struct Parts {
            $($(#[$doc])* pub $name: Option<$kind>,)*
            /// Every key with its value and where it came from.
            pub entries: Entries,
            /// Names and keys of the last release that are still in use, and what to do about them.
            pub outdated: Vec<SettingsProblem>,
            /// Everything that is wrong.
            pub problems: Vec<SettingsProblem>,
            /// Which of several targets they are of; `None` where there is one, without a name.
            pub target: Option<TargetName>,
            /// What the values have to be.
            pub(super) rules: Rules,
        }

        /// Validated settings, as far as a command needs them.
        pub struct Settings<N: Needs = Everything> {
            $($(#[$doc])* pub $name: kind!($kind $(, $needed)?),)*
            /// Every key with its value and where it came from.
            pub entries: Entries,
            /// Names and keys of the last release that are still in use, and what to do about them.
            pub outdated: Vec<SettingsProblem>,
            /// Which of several targets they are of; `None` where there is one, without a name.
            pub target: Option<TargetName>,
        }

        impl Parts {
            /// Reads the sections of settings without targets. Fails if the file is no TOML.
            pub fn of(
                file: Option<(&Path, &str)>,
                environment: Vec<(String, String)>,
            ) -> Result<Self, SettingsProblems> {
                let sources = Sources::of(file, environment)?;
                Ok(Self::read(sources.layers(None), &sources.around, None))
            }

            /// Reads all sections before anything is decided, so that all mistakes are told at once.
            pub(super) fn read(layers: Layers, around: &Surroundings, target: Option<Addressee>) -> Self {
                let Layers { entries, outdated, problems } = layers;
                let reader = Reader::new(&entries, problems);
                let given = Given { cloud: cloud::cloud(&reader), r: &reader, around };
                $(
                    reader.begin(stringify!($name));
                    let $name = ($read as fn(&Given<'_>) -> Option<$kind>)(&given);
                )*
                let (problems, rules) = reader.finish();
                let own = target.as_ref().map(|target| target.own.clone());
                let mut parts = Self { $($name,)* entries, outdated, problems, target: own, rules };
                parts.address(target);
                parts.read_back();
                parts.problems.extend(collisions(&parts));
                parts
            }

            /// The settings that are needed, if each of their sections can be used.
            pub(super) fn needed<N: Needs>(self) -> Option<Settings<N>> {
                Some(Settings {
                    $($name: taken!(self.$name $(, $needed)?),)*
                    entries: self.entries,
                    outdated: self.outdated,
                    target: self.target,
                })
            }
        }
    };
}

/// What sections are read from.
struct Given<'a> {
    r: &'a Reader<'a>,
    cloud: Option<&'static Cloud>,
    around: &'a Surroundings,
}

sections! {
    /// The queue.
    bus: Bus, Bus = |given| bus::bus(given.r, given.cloud, given.around);
    /// TLS and time-outs of all connections.
    connection: Connection = |given| sections::connection(given.r);
    /// Graph.
    graph: Graph = |given| sections::graph(given.r, given.cloud);
    /// What keeps an old change from overwriting a newer one.
    guard: Guard = |given| sections::guard(given.r);
    /// What a user must be to be written.
    terms: Terms = |given| sections::terms(given.r);
    /// Who the worker is towards Graph.
    identity: Identity, Identity = |given| identity::identity(given.r, given.cloud, given.around);
    /// The environment of Dataverse that may be asked.
    dataverse: Dataverse, Dataverse = |given| dataverse::dataverse(given.r, given.cloud, given.around);
    /// Whether contacts are held against users beside the messages.
    reconcile: Reconcile = |given| reconcile::reconcile(given.r);
    /// Link, mapping and filters.
    planner: Planner = |given| mapping::planner(given.r);
    /// What to do about a link that is never seen.
    link_unseen: LinkUnseen = |given| mapping::link_unseen(given.r);
    /// Patience of the shell around the engine.
    shell: ShellPolicy = |given| sections::shell(given.r);
    /// Concurrency, bounds, tries and the write budget: what the engine is told.
    engine: EnginePolicy = |given| sections::engine(given.r);
    /// Who writes, if there are several replicas.
    replicas: Replicas = |given| sections::replicas(given.r);
    /// Health, metrics and the status page over HTTP.
    http: Http = |given| observing::http(given.r);
    /// What became of each message, kept for whoever asks.
    journal: JournalPolicy = |given| observing::journal(given.r);
    /// Who is told when something is wrong.
    notify: Notify = |given| notify::notify(given.r, given.cloud, given.around);
    /// Logs, traces and what is exported.
    telemetry: Telemetry = |given| observing::telemetry(given.r, given.around);
}

impl Parts {
    /// The settings, if nothing is wrong with them.
    pub fn finish(mut self) -> Result<Settings, SettingsProblems> {
        let problems = std::mem::take(&mut self.problems);
        if !problems.is_empty() {
            return Err(SettingsProblems(problems));
        }
        self.needed().ok_or_else(|| SettingsProblems(Vec::new()))
    }

    /// Copies that are sent to a topic come by all of its subscriptions, so that they have to say whose they are.
    fn address(&mut self, target: Option<Addressee>) {
        let subscribes =
            self.bus.as_ref().is_some_and(|bus| matches!(bus.source, MessageSource::Subscription { .. }));
        if let Some(planner) = self.planner.as_mut().filter(|_| subscribes) {
            planner.addressee = target;
        }
    }

    /// Rows are read where there is an environment to ask.
    fn read_back(&mut self) {
        let environment = self.dataverse.as_ref().and_then(|dataverse| dataverse.environment.as_ref());
        let reads = environment.is_some_and(|environment| environment.read_back);
        if let Some(planner) = &mut self.planner {
            planner.read_back = reads;
        }
        if let Some(engine) = &mut self.engine {
            engine.read_back = reads;
        }
    }

    /// What is read of a user before a write.
    #[must_use]
    pub fn reading(&self) -> Option<ReadPolicy> {
        Some(reading(
            self.graph.as_ref()?,
            self.guard.as_ref()?,
            self.terms.as_ref()?,
            self.planner.as_ref()?,
        ))
    }
}

impl<N: Needs> Settings<N> {
    /// What is read of a user before a write.
    #[must_use]
    pub fn reading(&self) -> ReadPolicy {
        reading(&self.graph, &self.guard, &self.terms, &self.planner)
    }
}

fn reading(graph: &Graph, guard: &Guard, terms: &Terms, planner: &Planner) -> ReadPolicy {
    ReadPolicy {
        guard: guard.attribute.clone(),
        diff: graph.diff,
        terms: terms.clone(),
        reset_follows: planner.mapping.reset_follows().cloned(),
    }
}

/// What cannot be the same.
fn collisions(parts: &Parts) -> Vec<SettingsProblem> {
    let all = attributes(parts).into_iter().chain(queues(parts));
    all.chain(passes(parts)).chain(topic(parts)).collect()
}

/// What has to be set so that contacts can be held against users.
fn passes(parts: &Parts) -> Vec<SettingsProblem> {
    let Some(policy) = parts.reconcile.as_ref().and_then(|reconcile| reconcile.policy) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if parts.dataverse.as_ref().is_some_and(|dataverse| dataverse.environment.is_none()) {
        let text = "needs dataverse.url and the keys of [dataverse.identity]: contacts are read there";
        problems.push(SettingsProblem::new("reconcile.interval", text));
    }
    if parts.planner.as_ref().is_some_and(|planner| !planner.filter.operations.contains(&Operation::Update)) {
        let text = "needs \"update\" in filter.operations: what is posted is an update";
        problems.push(SettingsProblem::new("reconcile.interval", text));
    }
    if policy.apply && parts.guard.as_ref().is_some_and(|guard| guard.attribute.is_none()) {
        let text =
            "needs guard.attribute: without the mark a change that happens meanwhile could be overwritten";
        problems.push(SettingsProblem::new("reconcile.apply", text));
    }
    problems
}

/// What is held aside waits as a scheduled message, and those of a topic are shown to nobody.
fn topic(parts: &Parts) -> Option<SettingsProblem> {
    let subscribes = matches!(parts.bus.as_ref()?.source, MessageSource::Subscription { .. });
    let holds = parts.engine.as_ref()?.mass_change.users.is_some();
    (holds && subscribes).then(|| {
        let text = "needs a queue: what is held aside is scheduled, and scheduled messages of a topic can be seen by nobody; \
                    forward the subscription to a queue, and take from that";
        SettingsProblem::new("mass_change.users", text)
    })
}

/// The queue of the lease is for nothing else.
fn queues(parts: &Parts) -> Option<SettingsProblem> {
    let lease = parts.replicas.as_ref()?.lease_queue.as_deref()?;
    let intake = parts.bus.as_ref()?.source.address();
    let below = format!("{}/", intake.to_ascii_lowercase());
    let lease = lease.to_ascii_lowercase();
    (lease == intake.to_ascii_lowercase() || lease.starts_with(&below)).then(|| {
        let text = "is the queue that messages come from; make another one, with sessions";
        SettingsProblem::new("replicas.lease_queue", text)
    })
}

/// The attributes of the guard and of the link are the worker's own: nothing else may write them.
fn attributes(parts: &Parts) -> Vec<SettingsProblem> {
    let (Some(guard), Some(terms), Some(planner)) = (&parts.guard, &parts.terms, &parts.planner) else {
        return Vec::new();
    };
    let (guard, owner) = (guard.attribute.as_ref(), terms.owner.as_ref());
    let mapped = [("guard.attribute", guard), ("link.owner_attribute", owner)].map(|(key, attribute)| {
        let row = planner.mapping.rows().iter().find(|row| Some(&row.property) == attribute)?;
        let text = format!("is also written by the mapping, from {}; choose another attribute", row.source);
        Some(SettingsProblem::new(key, &text))
    });
    let shared = (guard.is_some() && guard == owner)
        .then(|| SettingsProblem::new("link.owner_attribute", "is also guard.attribute; choose another one"));
    let named = |attribute: &str| {
        let row = planner.mapping.rows().iter().find(|row| row.property.name() == attribute);
        if guard.is_some_and(|guard| guard.name() == attribute) {
            return Some(format!("{attribute} is also guard.attribute; choose another one"));
        }
        row.map(|row| {
            format!("{attribute} is also written by the mapping, from {}, so whoever edits a contact could name its user", row.source)
        })
    };
    let by_rule = planner.rules.iter().filter_map(|rule| match rule {
        LinkRule::Attribute(attribute) => named(attribute),
        LinkRule::ObjectId(_) | LinkRule::Identity { .. } => None,
    });
    let by_rule = by_rule.map(|text| SettingsProblem::new("link.rules", &text));
    mapped.into_iter().chain([shared]).flatten().chain(by_rule).collect()
}
