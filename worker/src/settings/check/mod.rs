//! What can be said about settings before anything runs: mistakes, combinations that do not work together, and
//! what only the operator can judge.
//!
//! [`findings`] is pure: it looks at the sections that could be read, and each rule is one function of them. A rule
//! whose section is missing stays silent, so that one mistake does not hide the others. What is tried out over the
//! network is judged here too, by what was seen: [`permissions`], [`queue`], [`lease`], [`skew`], [`NetworkFault`], each a [`Probe`].
//! A [`Caution`] is told wherever somebody looks for messages.

mod access;
mod budget;
mod caution;
mod claims;
mod credentials;
mod dataverse;
mod finding;
pub mod lease;
mod mapping;
mod notify;
mod order;
pub mod permissions;
mod probe;
pub mod queue;
mod reach;
mod rule;
pub mod skew;
#[cfg(test)]
mod tests;
mod times;

use self::rule::Rule;
pub use self::{
    caution::{Caution, cautions},
    claims::Claims,
    credentials::{ending, soon},
    finding::{Finding, Severity},
    probe::{Ending, Probe},
    reach::NetworkFault,
    rule::Surroundings,
};
use crate::settings::Parts;

const RULES: [&[Rule]; 6] =
    [&order::RULES, &times::RULES, &budget::RULES, &access::RULES, &dataverse::RULES, &mapping::RULES];

/// Everything there is to say, the gravest first.
#[must_use]
pub fn findings(parts: &Parts, around: Surroundings) -> Vec<Finding> {
    let mistakes = parts.problems.iter().map(Finding::mistake);
    let outdated = parts.outdated.iter().map(|problem| Finding::told(problem, Severity::Warning));
    let rules = RULES.into_iter().flatten().filter_map(|rule| rule(parts, around));
    let mut findings: Vec<_> = mistakes
        .chain(outdated)
        .chain(rules)
        .chain(access::secrets(parts))
        .chain(notify::channels(parts))
        .collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}
