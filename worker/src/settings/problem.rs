//! What is wrong with the settings, and how it is printed.

use std::fmt;

use shared::shown::Shown;

/// One thing that is wrong with the settings or out of date, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Key, variable or file.
    pub place: Box<str>,
    /// What is wrong and what to do.
    pub text: Box<str>,
}

/// The settings cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsProblems(pub Vec<SettingsProblem>);

impl SettingsProblem {
    pub(super) fn new(place: &str, text: &str) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Places and texts may hold names of files and variables, which are not ours.
        write!(f, "{}: {}", Shown(&self.place), Shown(&self.text))
    }
}

impl fmt::Display for SettingsProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, s) = (self.0.len(), if self.0.len() == 1 { "" } else { "s" });
        write!(f, "{count} problem{s} in the settings")?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}
