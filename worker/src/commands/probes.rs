//! How things that were tried out are told to people.

use std::fmt::Write;

use shared::shown::Shown;

use super::terminal;
use crate::{
    operate::status::units,
    settings::check::{Ending, Probe, Severity},
};

/// Room for the name of what was tried: each line is shown before the next is known.
const CHECKS: usize = 22;

/// Below this, a line that is broken is no easier to read.
const NARROWEST: usize = 40;

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
    format!(
        "{} thing{} tried, {} failed.",
        probes.len(),
        plural(probes.len()),
        ended(probes, Severity::Error)
    )
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
        let mut text = Lines { text: String::new(), width };
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
}
