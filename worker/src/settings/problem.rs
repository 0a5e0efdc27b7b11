//! What is wrong with the settings, and how it is printed.

use std::fmt;

use shared::shown::Shown;

/// One thing that is wrong with the settings or out of date, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Key, variable or file.
    pub place: Box<str>,
    /// Where the value was set: file and line, or a variable; none if nobody set it or the place says it already.
    pub position: Option<Box<str>>,
    /// What is wrong and what to do.
    pub text: Box<str>,
    /// The key that was meant, where the mistake kept its value from being used.
    pub(super) meant: Option<Box<str>>,
    /// The section that was being read.
    pub(super) section: Option<&'static str>,
}

/// The settings cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsProblems(pub Vec<SettingsProblem>);

impl SettingsProblem {
    /// What is wrong with what stands at this place.
    #[must_use]
    pub fn new(place: &str, text: &str) -> Self {
        Self { place: place.into(), position: None, text: text.into(), meant: None, section: None }
    }

    /// A value for this key could not be used.
    pub(super) fn meant(self, key: &str) -> Self {
        Self { meant: Some(key.into()), ..self }
    }

    /// Whether it says already that this key has no value.
    pub(super) fn is_about(&self, key: &str) -> bool {
        self.meant.as_deref() == Some(key)
    }

    /// It was found when this section was read.
    pub(super) fn of_section(self, section: Option<&'static str>) -> Self {
        Self { section, ..self }
    }

    pub(super) fn at(self, position: Option<String>) -> Self {
        Self { position: position.map(Into::into), ..self }
    }
}

impl From<SettingsProblem> for SettingsProblems {
    fn from(problem: SettingsProblem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Places and texts may hold names of files and variables, which are not ours.
        match &self.position {
            Some(position) => {
                write!(f, "{} ({}): {}", Shown(&self.place), Shown(position), Shown(&self.text))
            }
            None => write!(f, "{}: {}", Shown(&self.place), Shown(&self.text)),
        }
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
