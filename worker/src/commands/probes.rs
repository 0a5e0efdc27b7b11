//! How things that were tried out are told to people.

use std::fmt::Write;

use shared::shown::Shown;

use crate::settings::check::{Ending, Probe, Severity};

/// What was tried, and how much of it failed.
pub(super) fn table(probes: &[Probe]) -> String {
    if probes.is_empty() {
        return String::new();
    }
    let mut text = lines(probes);
    let failed = failed(probes);
    let verdict = if failed == 0 { "and none failed".to_owned() } else { format!("{failed} of them failed") };
    line(&mut text, &format!("Tried {} things, {verdict}.", probes.len()));
    text
}

pub(super) fn failed(probes: &[Probe]) -> usize {
    probes.iter().filter(|probe| probe.ending == Ending::Found(Severity::Error)).count()
}

/// One thing a line, and what to do about it below.
pub(super) fn lines(probes: &[Probe]) -> String {
    let width = probes.iter().map(|probe| probe.check.len()).max().unwrap_or(0);
    let mut text = "\n".to_owned();
    for probe in probes {
        line(&mut text, &format!("{:9}{:width$}  {}", probe.result(), probe.check, probe.what));
        if let Some(remedy) = &probe.remedy {
            line(&mut text, &format!("{:9}{:width$}  to do: {remedy}", "", ""));
        }
    }
    text
}

/// Adds a line, whatever words of others are in it.
pub(super) fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{}", Shown(line));
}
