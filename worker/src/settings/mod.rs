//! Settings: read from all places at once, checked once, all mistakes reported together.

mod bus;
pub mod check;
mod cloud;
mod identity;
mod mapping;
mod observing;
mod parts;
mod proxy;
mod reader;
mod schema;
mod secrets;
mod sections;
mod source;
mod starter;
mod stored_credential;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use shared::{engine, gate, lanes, pace::Pace, plan::Planner, shown::Shown};

pub use self::{
    bus::{Access, Bus, Source},
    cloud::{Cloud, cloud_of},
    mapping::LinkUnseen,
    observing::{Http, LogFormat, Otlp, Telemetry},
    parts::Parts,
    schema::schema,
    secrets::{shown, without_credentials},
    sections::{Graph, Pool, Retry, Throttle},
    source::{DEFAULTS, Entries, Entry, Origin, arguments, environment},
    starter::starter,
    stored_credential::StoredCredential,
};
use crate::identity::Identity;

/// Validated settings.
pub struct Settings {
    /// The queue.
    pub bus: Bus,
    /// Graph.
    pub graph: Graph,
    /// Who the worker is towards Graph.
    pub identity: Identity,
    /// Link, mapping and filters.
    pub planner: Planner,
    /// What to do about a link that is never seen.
    pub link_unseen: LinkUnseen,
    /// Concurrency and bounds.
    pub pool: Pool,
    /// Patience.
    pub retry: Retry,
    /// Write budget, breaker and probes.
    pub throttle: Throttle,
    /// Health, metrics and the status page over HTTP.
    pub http: Http,
    /// Logs, traces and what is exported.
    pub telemetry: Telemetry,
    /// Every key with its value and where it came from.
    pub entries: Entries,
}

/// One thing that is wrong with the settings, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Key, variable or file.
    pub place: Box<str>,
    /// What is wrong and what to do.
    pub text: Box<str>,
}

/// The settings cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    fn new(place: &str, text: &str) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Places and texts may hold names of files and variables, which are not ours.
        write!(f, "{}: {}", Shown(&self.place), Shown(&self.text))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, s) = (self.0.len(), if self.0.len() == 1 { "" } else { "s" });
        write!(f, "{count} problem{s} in the settings")?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// Which settings file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsFile {
    /// `contactsync.toml` in the current folder, if it is there.
    Usual,
    /// This one, which must be there.
    Named(PathBuf),
}

impl SettingsFile {
    fn path(&self) -> &Path {
        match self {
            Self::Usual => Path::new("contactsync.toml"),
            Self::Named(path) => path,
        }
    }

    fn read(&self) -> Result<Option<String>, Problems> {
        match std::fs::read_to_string(self.path()) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && *self == Self::Usual => Ok(None),
            Err(error) => {
                let place = self.path().display().to_string();
                Err(Problems(vec![Problem::new(&place, &format!("cannot be read: {error}"))]))
            }
        }
    }
}

/// Reads the settings file and the environment.
pub fn load(file: &SettingsFile, environment: Vec<(String, String)>) -> Result<Settings, Problems> {
    examine(file, environment)?.finish()
}

/// The same, section by section, with what is wrong; fails only if the file cannot be read.
pub fn examine(file: &SettingsFile, environment: Vec<(String, String)>) -> Result<Parts, Problems> {
    let text = file.read()?;
    Ok(Parts::of(text.as_deref().map(|text| (file.path(), text)), environment))
}

/// Reads only what planning needs: a mistake elsewhere is still told, a missing secret is not.
pub fn load_planner(file: &SettingsFile, environment: Vec<(String, String)>) -> Result<Planner, Problems> {
    let text = file.read()?;
    let mut problems = Vec::new();
    let entries = source::layers(text.as_deref().map(|text| (file.path(), text)), environment, &mut problems);
    let reader = reader::Reader::new(&entries, problems);
    let planner = mapping::planner(&reader);
    let problems = reader.into_problems();
    planner.filter(|_| problems.is_empty()).ok_or(Problems(problems))
}

/// Settings from the text of a file and an environment.
pub fn parse(file: Option<(&Path, &str)>, environment: Vec<(String, String)>) -> Result<Settings, Problems> {
    Parts::of(file, environment).finish()
}

impl Settings {
    /// Bounds and patience of the engine.
    #[must_use]
    pub fn engine_policy(&self) -> engine::Policy {
        let (pool, retry, throttle) = (&self.pool, &self.retry, &self.throttle);
        engine::Policy {
            lanes: lanes::Limits {
                concurrency: pool.concurrency,
                messages: pool.messages,
                remembered_users: pool.remembered_users,
                retries: retry.in_place,
                verify_after: Some(self.graph.verify_after).filter(|after| !after.is_zero()),
                ..lanes::Limits::default()
            },
            gate: gate::Limits {
                breaker_users: throttle.breaker_users,
                probe: throttle.probes,
                throttle: throttle.probes,
                longest_wait: throttle.longest_wait,
            },
            pace: Pace::new(throttle.writes_per_second, throttle.burst),
            bytes: pool.bytes,
            max_age: retry.max_age,
            max_lock_hold: pool.max_lock_hold,
        }
    }
}
