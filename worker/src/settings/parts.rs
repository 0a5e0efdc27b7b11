//! The sections of the settings, each in one row: those that can be used one by one, and all of them together.

use std::path::Path;

use shared::{
    admission::Terms,
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
    notify::{self, Notify},
    observing::{self, Http, JournalPolicy, Telemetry},
    problem::{SettingsProblem, SettingsProblems},
    reader::{Reader, Rules},
    sections::{self, Connection, Graph, Guard, Replicas, ShellPolicy},
    source::{Layers, Sources, Surroundings},
};
use crate::identity::Identity;

/// Rows of `name: type = how it is read`. Sections are read in this order, which is that of the mistakes told.
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $read:expr;)*) => {
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

        /// Validated settings.
        pub struct Settings {
            $($(#[$doc])* pub $name: $kind,)*
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
                $(let $name = ($read as fn(&Given<'_>) -> Option<$kind>)(&given);)*
                let (problems, rules) = reader.finish();
                let own = target.as_ref().map(|target| target.own.clone());
                let mut parts = Self { $($name,)* entries, outdated, problems, target: own, rules };
                parts.address(target);
                parts.problems.extend(collisions(&parts));
                parts
            }

            /// The settings, if nothing is wrong with them.
            pub fn finish(self) -> Result<Settings, SettingsProblems> {
                if !self.problems.is_empty() {
                    return Err(SettingsProblems(self.problems));
                }
                let settings = (|| {
                    Some(Settings {
                        $($name: self.$name?,)*
                        entries: self.entries,
                        outdated: self.outdated,
                        target: self.target,
                    })
                })();
                settings.ok_or_else(|| SettingsProblems(Vec::new()))
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
    bus: Bus = |given| bus::bus(given.r, given.cloud, given.around);
    /// TLS and time-outs of all connections.
    connection: Connection = |given| sections::connection(given.r);
    /// Graph.
    graph: Graph = |given| sections::graph(given.r, given.cloud);
    /// What keeps an old change from overwriting a newer one.
    guard: Guard = |given| sections::guard(given.r);
    /// What a user must be to be written.
    terms: Terms = |given| sections::terms(given.r);
    /// Who the worker is towards Graph.
    identity: Identity = |given| identity::identity(given.r, given.cloud, given.around);
    /// The environment of Dataverse that may be asked.
    dataverse: Dataverse = |given| dataverse::dataverse(given.r, given.cloud, given.around);
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
    /// Copies that are sent to a topic come by all of its subscriptions, so that they have to say whose they are.
    fn address(&mut self, target: Option<Addressee>) {
        let subscribes =
            self.bus.as_ref().is_some_and(|bus| matches!(bus.source, MessageSource::Subscription { .. }));
        if let Some(planner) = self.planner.as_mut().filter(|_| subscribes) {
            planner.addressee = target;
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

impl Settings {
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
    attributes(parts).into_iter().chain(queues(parts)).collect()
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
