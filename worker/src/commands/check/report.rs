//! What `check` has found, for people and for machines. What matters comes last, where somebody looks: notes stand above
//! what was tried, and the last line counts everything.

use std::{collections::BTreeSet, fmt::Write, process::ExitCode};

use serde_json::{Value, json};
use shared::shown::Shown;

use crate::{
    commands::{global::BAD_SETTINGS, terminal},
    settings::check::{Ending, Finding, Probe, Severity},
};

/// Below this, a line that is broken is no easier to read.
const NARROWEST: usize = 40;

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
        let mut text = Text { text: String::new(), width: terminal::width() };
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
        text.probes(&self.online);
        text.gap();
        text.line(&self.verdict(), 0);
        text.text
    }

    fn verdict(&self) -> String {
        let errors = found(&self.findings, Severity::Error);
        let counts = [
            (self.count(Severity::Error), "error"),
            (self.count(Severity::Warning), "warning"),
            (self.count(Severity::Note), "note"),
        ];
        let counts = counts.map(|(count, name)| format!("{count} {name}{}", plural(count)));
        let tried = if self.online.is_empty() {
            String::new()
        } else {
            let (all, failed) = (self.online.len(), self.failed());
            format!(" {all} thing{} tried, {failed} failed.", plural(all))
        };
        let can = match (errors, self.failed()) {
            (0, 0) => "The settings can work",
            (0, _) => "The settings can work, and what they name does not yet",
            _ => "The settings cannot work",
        };
        format!("{can}: {}.{tried}", counts.join(", "))
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
        let probes = self.by_message.iter().chain(&self.online);
        probes.filter(|probe| probe.ending == Ending::Found(severity)).count()
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

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Lines for a terminal of some width, or for a file.
struct Text {
    text: String,
    width: Option<usize>,
}

impl Text {
    /// One thing a line, and what to do about it below.
    fn probes(&mut self, probes: &[Probe]) {
        let column = 9 + probes.iter().map(|probe| probe.check.len()).max().unwrap_or(0) + 2;
        for probe in probes {
            let width = column - 11;
            self.line(&format!("{:9}{:width$}  {}", probe.result(), probe.check, probe.what), column);
            if let Some(remedy) = &probe.remedy {
                self.line(&format!("{:column$}to do: {remedy}", ""), column);
            }
        }
    }

    /// An empty line, unless there is one or nothing stands above.
    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A line, broken between words where it is too long; what follows begins at `column`.
    fn line(&mut self, line: &str, column: usize) {
        let line = Shown(line).to_string();
        let room = self.width.filter(|width| *width >= NARROWEST.max(column * 2)).unwrap_or(usize::MAX);
        let lead = line.len() - line.trim_start().len();
        let (mut at, mut is_first) = (lead, true);
        self.text.push_str(&line[..lead]);
        // By single blanks, so that columns keep their width.
        for word in line[lead..].split(' ') {
            let length = word.chars().count();
            if !is_first && at + 1 + length > room {
                // Writing to a string cannot fail.
                let _infallible = write!(self.text, "\n{:column$}", "");
                at = column;
            } else if !is_first {
                self.text.push(' ');
                at += 1;
            }
            self.text.push_str(word);
            at += length;
            is_first = false;
        }
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(line: &str, column: usize, width: Option<usize>) -> String {
        let mut text = Text { text: String::new(), width };
        text.line(line, column);
        text.text
    }

    #[test]
    fn long_lines_break_between_words_and_keep_their_columns() {
        let line = "warning  pool.grace: is shorter than what a write may take, so that a restart waits";
        assert_eq!(wrapped(line, 9, None), format!("{line}\n"));
        assert_eq!(
            wrapped(line, 9, Some(50)),
            "warning  pool.grace: is shorter than what a write\n         may take, so that a restart waits\n"
        );
        // Too narrow for it to help, and a word that is too long for any line.
        assert_eq!(wrapped(line, 9, Some(20)), format!("{line}\n"));
        let word = "x".repeat(60);
        assert_eq!(wrapped(&word, 0, Some(50)), format!("{word}\n"));
    }

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
