//! Settings from a file and the environment: all of them, section by section, or the mapping alone.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use shared::plan::Planner;

use super::{
    mapping,
    parts::{Parts, Settings},
    problem::{SettingsProblem, SettingsProblems},
    reader,
    source::PREFIX,
    targets::{Stacks, TargetChoiceError, Targets},
};

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

    fn read(&self) -> Result<Option<String>, SettingsProblem> {
        let text = match std::fs::read_to_string(self.path()) {
            Ok(text) => return Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => match self {
                Self::Usual => return Ok(None),
                Self::Named(_) => {
                    "there is no such file; `contactsync config init` writes a settings file to fill in"
                        .to_owned()
                }
            },
            Err(error) => format!("cannot be read: {error}"),
        };
        Err(SettingsProblem::new(&self.path().display().to_string(), &text))
    }
}

/// What is wrong where nobody has set anything: there is no file, and no variable of ours. A list of all that is missing
/// would say less.
#[must_use]
pub fn nothing_set(file: &SettingsFile, environment: &[(String, String)]) -> Option<SettingsProblem> {
    let is_set = environment.iter().any(|(name, _)| name.starts_with(PREFIX));
    if is_set || *file != SettingsFile::Usual || file.path().exists() {
        return None;
    }
    let text = "there is no settings file in this folder; `contactsync config init` writes one to fill in, --config \
                names one that is elsewhere";
    Some(SettingsProblem::new(&file.path().display().to_string(), text))
}

/// Reads the settings file and the environment: each target section by section, with what is wrong; fails only if the
/// file cannot be read.
pub fn examine(file: &SettingsFile, environment: Vec<(String, String)>) -> Result<Targets, SettingsProblems> {
    let text = file.read()?;
    Targets::of(text.as_deref().map(|text| (file.path(), text)), environment)
}

/// Why the mapping cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsProblems),
    /// It is not known of which target.
    #[error(transparent)]
    Target(#[from] TargetChoiceError),
}

/// Reads only what planning needs, of the target that is meant: a mistake elsewhere is still told, a missing secret is not.
pub fn load_planner(
    file: &SettingsFile,
    environment: Vec<(String, String)>,
    target: Option<&str>,
) -> Result<Planner, PlannerError> {
    let text = file.read().map_err(SettingsProblems::from)?;
    let stacks = Stacks::of(text.as_deref().map(|text| (file.path(), text)), environment)
        .map_err(SettingsProblems::from)?;
    let layers = stacks.choose(target)?;
    let reader = reader::Reader::new(&layers.entries, layers.problems);
    let planner = mapping::planner(&reader);
    let problems = reader.into_problems();
    Ok(planner.filter(|_| problems.is_empty()).ok_or(SettingsProblems(problems))?)
}

/// Settings from the text of a file and an environment, without targets.
pub fn parse(
    file: Option<(&Path, &str)>,
    environment: Vec<(String, String)>,
) -> Result<Settings, SettingsProblems> {
    Parts::of(file, environment)?.finish()
}
