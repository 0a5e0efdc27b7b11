//! One thing that was tried out, and how it ended.

use std::time::Duration;

use serde_json::{Value, json};

use super::Severity;

/// What was tried, what came of it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was tried, in a word or two.
    pub check: &'static str,
    /// How it ended.
    pub ending: Ending,
    /// What was seen.
    pub what: String,
    /// What to do about it; none where nothing is to be done or `what` says so already.
    pub remedy: Option<String>,
    /// How long it took, if somebody has looked.
    pub took: Option<Duration>,
}

/// What takes longer is worth a word, also where it ended well.
const SLOW: Duration = Duration::from_secs(2);

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Good,
    /// With something to say.
    Found(Severity),
    /// It could not be tried, because something before it failed.
    Skipped,
}

impl Probe {
    /// It is as it should be.
    pub fn good(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, ending: Ending::Good, what: what.into(), remedy: None, took: None }
    }

    /// It cannot work.
    pub fn failed(check: &'static str, what: impl Into<String>, remedy: &str) -> Self {
        Self::found(Severity::Error, check, what, remedy)
    }

    /// There is something to say.
    pub fn found(severity: Severity, check: &'static str, what: impl Into<String>, remedy: &str) -> Self {
        let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
        Self { check, ending: Ending::Found(severity), what: what.into(), remedy, took: None }
    }

    /// It was not tried.
    #[must_use]
    pub fn skipped(check: &'static str, why: &str) -> Self {
        Self { check, ending: Ending::Skipped, what: why.to_owned(), remedy: None, took: None }
    }

    /// Stable word for people and machines.
    #[must_use]
    pub const fn result(&self) -> &'static str {
        match self.ending {
            Ending::Good => "ok",
            Ending::Found(Severity::Error) => "failed",
            Ending::Found(severity) => severity.as_str(),
            Ending::Skipped => "skipped",
        }
    }

    /// How slow it was, if it was.
    #[must_use]
    pub fn slow(&self) -> Option<Duration> {
        self.took.filter(|took| *took >= SLOW)
    }

    /// The same for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "check": self.check, "result": self.result(), "what": self.what, "remedy": self.remedy,
            "seconds": self.took.map(|took| (took.as_secs_f64() * 1_000.0).round() / 1_000.0),
        })
    }
}
