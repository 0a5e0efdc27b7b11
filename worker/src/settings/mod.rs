//! Settings: read from all places at once, checked once, all mistakes reported together.

mod bus;
pub mod check;
mod cloud;
mod identity;
mod mapping;
mod names;
mod observing;
mod parts;
mod policy;
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

use shared::{plan::Planner, shown::Shown};

pub use self::{
    bus::{Access, Bus, Source},
    cloud::{Cloud, cloud_of},
    mapping::LinkUnseen,
    observing::{Http, LogFormat, Otlp, Telemetry},
    parts::{Parts, Settings},
    schema::schema,
    secrets::{shown, without_credentials},
    sections::{Connection, Graph, Guard, Pool, Retry, Throttle},
    source::{DEFAULTS, Entries, Entry, Origin, arguments, environment},
    starter::starter,
    stored_credential::StoredCredential,
};

/// One thing that is wrong with the settings or out of date, and what to do about it.
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
    let layers = source::layers(text.as_deref().map(|text| (file.path(), text)), environment);
    let reader = reader::Reader::new(&layers.entries, layers.problems);
    let planner = mapping::planner(&reader);
    let problems = reader.into_problems();
    planner.filter(|_| problems.is_empty()).ok_or(Problems(problems))
}

/// Settings from the text of a file and an environment.
pub fn parse(file: Option<(&Path, &str)>, environment: Vec<(String, String)>) -> Result<Settings, Problems> {
    Parts::of(file, environment).finish()
}
