//! One thing to say about the settings.

use std::fmt;

use serde_json::{Value, json};

use crate::settings::SettingsProblem;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works, but not as well or not as safely as it should.
    Warning,
    /// It is right for some and wrong for others.
    Note,
}

impl Severity {
    /// Stable word for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What was found, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// Key, variable or file.
    pub place: Box<str>,
    /// File and line, or variable, where that is set; none if the place says it or nobody set it.
    pub position: Option<Box<str>>,
    /// What is the case.
    pub what: Box<str>,
    /// What to do, unless `what` says so already.
    pub remedy: Option<Box<str>>,
}

impl Finding {
    pub(super) fn new(severity: Severity, place: &str, what: impl Into<Box<str>>, remedy: &str) -> Self {
        Self { severity, place: place.into(), position: None, what: what.into(), remedy: Some(remedy.into()) }
    }

    /// A mistake in the settings, which says itself what to do.
    #[must_use]
    pub fn mistake(problem: &SettingsProblem) -> Self {
        Self::told(problem, Severity::Error)
    }

    pub(super) fn told(problem: &SettingsProblem, severity: Severity) -> Self {
        let (place, position) = (problem.place.clone(), problem.position.clone());
        Self { severity, place, position, what: problem.text.clone(), remedy: None }
    }

    /// The same for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "severity": self.severity.as_str(), "place": self.place, "position": self.position, "what": self.what, "remedy": self.remedy,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9}{}", self.severity.as_str(), self.place)?;
        if let Some(position) = &self.position {
            write!(f, " ({position})")?;
        }
        write!(f, ": {}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
