//! Settings: read from all places at once, checked once, all mistakes reported together.

mod mapping;
mod reader;
mod sections;
mod source;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path};

use shared::{gate, lanes, plan::Planner};

pub use self::{
    sections::{Bus, Graph, LogFormat, Pool, Retry, Telemetry, Throttle},
    source::{DEFAULTS, Entries, Entry, Origin, environment},
};
use crate::identity::ClientSecret;

/// Validated settings.
pub struct Settings {
    /// The queue.
    pub bus: Bus,
    /// Graph.
    pub graph: Graph,
    /// The app registration.
    pub identity: ClientSecret,
    /// Link, mapping and filters.
    pub planner: Planner,
    /// Concurrency and bounds.
    pub pool: Pool,
    /// Patience.
    pub retry: Retry,
    /// Write budget, breaker and probes.
    pub throttle: Throttle,
    /// Logs.
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
        write!(f, "{}: {}", self.place, self.text)
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

/// Reads the settings file, if there is one, and the environment. A missing file is a mistake only if it was
/// `named` on purpose.
pub fn load(path: &Path, named: bool, environment: Vec<(String, String)>) -> Result<Settings, Problems> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => None,
        Err(error) => {
            let place = path.display().to_string();
            return Err(Problems(vec![Problem::new(&place, &format!("cannot be read: {error}"))]));
        }
    };
    parse(text.as_deref().map(|text| (path, text)), environment)
}

/// Settings from the text of a file and an environment.
pub fn parse(file: Option<(&Path, &str)>, environment: Vec<(String, String)>) -> Result<Settings, Problems> {
    let mut problems = Vec::new();
    let entries = source::layers(file, environment, &mut problems);
    let reader = reader::Reader::new(&entries, problems);
    let settings = (
        sections::bus(&reader),
        sections::graph(&reader),
        sections::identity(&reader),
        mapping::planner(&reader),
        sections::pool(&reader),
        sections::retry(&reader),
        sections::throttle(&reader),
        sections::telemetry(&reader),
    );
    if let (Some(graph), Some(planner)) = (&settings.1, &settings.3) {
        mapping::check_guard(&reader, graph.reading.guard.as_ref(), planner);
    }
    let problems = reader.into_problems();
    match settings {
        (
            Some(bus),
            Some(graph),
            Some(identity),
            Some(planner),
            Some(pool),
            Some(retry),
            Some(throttle),
            Some(telemetry),
        ) if problems.is_empty() => {
            Ok(Settings { bus, graph, identity, planner, pool, retry, throttle, telemetry, entries })
        }
        _ => Err(Problems(problems)),
    }
}

impl Settings {
    /// Bounds of the scheduler.
    #[must_use]
    pub fn lane_limits(&self) -> lanes::Limits {
        lanes::Limits {
            concurrency: self.pool.concurrency,
            messages: self.pool.messages,
            remembered_users: self.pool.remembered_users,
            tries_in_place: self.retry.tries,
            backoff: self.retry.delays,
        }
    }

    /// Bounds of the gate.
    #[must_use]
    pub fn gate_limits(&self) -> gate::Limits {
        gate::Limits {
            breaker_users: self.throttle.breaker_users,
            probe: self.throttle.probes,
            throttle: self.throttle.probes,
            longest_wait: self.throttle.longest_wait,
        }
    }
}
