//! How things that were tried out are told to people.

use shared::shown::Shown;

use super::{fitting::break_line, terminal};
use crate::{
    operate::status::units,
    settings::check::{Ending, Probe, Severity},
};

/// Room for the name of what was tried: each line is shown before the next is known.
const CHECKS: usize = 22;

/// What was tried, and how much of it failed.
pub(super) fn table(probes: &[Probe]) -> String {
    let mut text = Lines::for_output();
    text.probes(probes);
    text.gap();
    text.line(&tried(probes), 0);
    text.finish()
}

/// How much was tried, and how much of it failed.
pub(super) fn tried(probes: &[Probe]) -> String {
    let skipped = probes.iter().filter(|probe| probe.ending == Ending::Skipped).count();
    let tried = probes.len() - skipped;
    let tried_text =
        format!("{tried} thing{} tried, {} failed", plural(tried), ended(probes, Severity::Error));
    match (tried, skipped) {
        (_, 0) => format!("{tried_text}."),
        (0, _) => "Nothing was tried.".to_owned(),
        _ => format!("{tried_text}, {skipped} skipped."),
    }
}

/// How many were found to be of this gravity.
pub(super) fn ended(probes: &[Probe], severity: Severity) -> usize {
    probes.iter().filter(|probe| probe.ending == Ending::Found(severity)).count()
}

/// Numbers of errors, warnings and notes, in words.
pub(super) fn tally([errors, warnings, notes]: [usize; 3]) -> String {
    let of = |count, name| format!("{count} {name}{}", plural(count));
    [of(errors, "error"), of(warnings, "warning"), of(notes, "note")].join(", ")
}

/// So many of something.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", units::count(count), if count == 1 { "" } else { "s" })
}

/// The end of a word that is counted.
pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Lines for a terminal of some width, or for a file.
pub(super) struct Lines {
    text: String,
    width: Option<usize>,
}

impl Lines {
    /// For standard output, as wide as that is.
    pub(super) fn for_output() -> Self {
        Self { text: String::new(), width: terminal::width() }
    }

    /// All of them.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// One thing a line, and what to do about it below.
    pub(super) fn probes(&mut self, probes: &[Probe]) {
        const COLUMN: usize = 9 + CHECKS + 2;
        for probe in probes {
            let slow =
                probe.slow().map_or_else(String::new, |took| format!(" (took {:.1} s)", took.as_secs_f64()));
            let line = format!("{:9}{:CHECKS$}  {}{slow}", probe.result(), probe.check, probe.what);
            self.line(&line, COLUMN);
            if let Some(remedy) = &probe.remedy {
                self.line(&format!("{:COLUMN$}to do: {remedy}", ""), COLUMN);
            }
        }
    }

    /// An empty line, unless there is one or nothing stands above.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A line, broken between words where it is too long; what follows begins at `column`.
    pub(super) fn line(&mut self, line: &str, column: usize) {
        break_line(&mut self.text, &Shown(line).to_string(), column, self.width);
        self.text.push('\n');
    }
}
