//! What `check` has found, for people and for machines. What matters comes last, where somebody looks: notes stand above
//! what was tried, and the last line counts everything.

use std::{collections::BTreeSet, process::ExitCode};

use serde_json::{Value, json};

use crate::{
    commands::{
        global::BAD_SETTINGS,
        probes::{Lines, ended, tally, tried},
    },
    settings::check::{Ending, Finding, Probe, Severity},
};

/// How a check ends, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CheckEnd {
    Good,
    Failed,
    BadSettings,
}

impl CheckEnd {
    /// The exit code that says so.
    pub(super) fn code(self) -> ExitCode {
        match self {
            Self::Good => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::BadSettings => ExitCode::from(BAD_SETTINGS),
        }
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// By looking at the settings, the gravest first.
    pub(super) findings: Vec<Finding>,
    /// What the settings come to.
    pub(super) summary: Vec<(&'static str, String)>,
    /// What the app must be permitted; none where the settings cannot be read.
    pub(super) permissions: Option<BTreeSet<&'static str>>,
    /// By a captured message.
    pub(super) by_message: Vec<Probe>,
    /// By trying.
    pub(super) online: Vec<Probe>,
    /// Whether a warning is a failure.
    pub(super) strict: bool,
}

impl Report {
    /// How it ends.
    pub(super) fn end(&self) -> CheckEnd {
        if found(&self.findings, Severity::Error) > 0 {
            CheckEnd::BadSettings
        } else if self.failed() > 0 || self.strict && self.count(Severity::Warning) > 0 {
            CheckEnd::Failed
        } else {
            CheckEnd::Good
        }
    }

    /// For machines: exactly one document, however little could be read.
    pub(super) fn json(&self) -> Value {
        let mut told = json!({
            "ok": self.end() == CheckEnd::Good,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notes": self.count(Severity::Note),
            "permissions": self.permissions,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<Value>>(),
        });
        for (name, probes) in [("message", &self.by_message), ("online", &self.online)] {
            if !probes.is_empty() {
                told[name] = probes.iter().map(Probe::json).collect();
            }
        }
        told
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        self.beginning() + &self.rest(false)
    }

    /// What is known before anything is tried.
    pub(super) fn beginning(&self) -> String {
        let mut text = Lines::for_output();
        for finding in &self.findings {
            text.line(&finding.to_string(), 9);
        }
        text.gap();
        for (what, value) in &self.summary {
            text.line(&format!("{what:12}{value}"), 12);
        }
        text.gap();
        if !self.by_message.is_empty() {
            text.probes(&self.by_message);
            text.line(by_message(&self.by_message), 0);
            text.gap();
        }
        text.finish()
    }

    /// What was tried, unless it was shown as it came, and the verdict.
    pub(super) fn rest(&self, shown: bool) -> String {
        let mut text = Lines::for_output();
        if shown {
            text.line("", 0);
        } else {
            text.probes(&self.online);
            text.gap();
        }
        text.line(&self.verdict(), 0);
        text.finish()
    }

    fn verdict(&self) -> String {
        let errors = found(&self.findings, Severity::Error);
        let counts = tally([Severity::Error, Severity::Warning, Severity::Note].map(|one| self.count(one)));
        let tried = if self.online.is_empty() { String::new() } else { format!(" {}", tried(&self.online)) };
        let can = match (errors, self.failed()) {
            (0, 0) => "The settings can work",
            (0, _) => "The settings can work, and what they name does not yet",
            _ => "The settings cannot work",
        };
        format!("{can}: {counts}.{tried}")
    }

    /// What was tried and failed.
    fn failed(&self) -> usize {
        self.ended(Severity::Error)
    }

    /// Everything of this gravity, seen or tried.
    fn count(&self, severity: Severity) -> usize {
        found(&self.findings, severity) + self.ended(severity)
    }

    fn ended(&self, severity: Severity) -> usize {
        ended(&self.by_message, severity) + ended(&self.online, severity)
    }
}

fn found(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn by_message(probes: &[Probe]) -> &'static str {
    let is = |ending| move |probe: &Probe| probe.ending == ending;
    if probes.iter().all(is(Ending::Skipped)) {
        "By this message nothing can be said."
    } else if probes.iter().any(is(Ending::Found(Severity::Error))) {
        "By this message the settings cannot work."
    } else {
        "By this message the settings can work."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_that_fails_is_counted_where_the_end_is_told() {
        let online =
            vec![Probe::good("clock", "right"), Probe::found(Severity::Warning, "queue", "small", "more")];
        let report = Report { online, strict: true, ..Report::default() };
        assert_eq!(report.end(), CheckEnd::Failed);
        let told = report.json();
        assert_eq!((&told["ok"], &told["warnings"]), (&false.into(), &1.into()));
        assert!(
            report.text().ends_with(
                "The settings can work: 0 errors, 1 warning, 0 notes. 2 things tried, 0 failed.\n"
            )
        );
        assert_eq!(Report { strict: false, ..report }.end(), CheckEnd::Good);
    }
}
