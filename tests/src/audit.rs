//! What must have come of a scenario, and what is missing.

use std::{collections::BTreeMap, fmt};

use emulator::broker;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    scenario::Scenario,
    world::{DEAD_LETTERS, QUEUE, World},
};

/// What was found at the end.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Messages completed by the worker.
    pub completed: usize,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<String, usize>,
    /// Everything that is not as it must be. Empty means that nothing was lost.
    pub faults: Vec<Fault>,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Messages are still in the queue.
    Left(usize),
    /// Messages that were neither completed nor dead-lettered, and are not in the queue any more.
    Lost(usize),
    /// Dead letters differ from the expected ones.
    DeadLetters {
        /// The reason.
        reason: String,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A user is not as the newest changes left him.
    User {
        /// Who.
        id: Uuid,
        /// Which property.
        property: &'static str,
        /// What it must be.
        expected: Value,
        /// What it is.
        found: Value,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left(count) => write!(f, "{count} messages are still in the queue"),
            Self::Lost(count) => write!(f, "{count} messages are gone without having been settled"),
            Self::DeadLetters { reason, expected, found } => {
                write!(f, "{found} dead letters with {reason} where there must be {expected}")
            }
            Self::User { id, property, expected, found } => {
                write!(f, "user {id}: {property} is {found} and must be {expected}")
            }
        }
    }
}

/// Compares the world with what a scenario must have made of it.
pub fn audit(world: &World, scenario: &Scenario) -> anyhow::Result<Findings> {
    let totals = world.bus.journal().totals();
    let mut findings = Findings { completed: count(totals.completed), ..Findings::default() };
    let left = world.bus.contents(QUEUE)?.len();
    for letter in world.bus.contents(DEAD_LETTERS)? {
        let reason = reason(&letter);
        *findings.dead_letters.entry(reason).or_default() += 1;
    }
    let dead: usize = findings.dead_letters.values().sum();
    if left > 0 {
        findings.faults.push(Fault::Left(left));
    }
    // A message that came back later is two: the original, which was completed, and its copy.
    let stored = scenario.postings.len() + count(totals.scheduled);
    let lost = stored.saturating_sub(findings.completed + dead + left);
    if lost > 0 {
        findings.faults.push(Fault::Lost(lost));
    }
    compare_reasons(scenario, &mut findings);
    compare_users(world, scenario, &mut findings);
    Ok(findings)
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn reason(letter: &broker::View) -> String {
    match letter.message.property("DeadLetterReason") {
        Some(serde_amqp::Value::String(reason)) => reason.clone(),
        _ => "(none)".to_owned(),
    }
}

fn compare_reasons(scenario: &Scenario, findings: &mut Findings) {
    let expected = |reason: &str| scenario.dead_letters.get(reason).copied().unwrap_or(0);
    let mut reasons: Vec<String> = scenario.dead_letters.keys().map(|reason| (*reason).to_owned()).collect();
    reasons.extend(findings.dead_letters.keys().cloned());
    reasons.sort();
    reasons.dedup();
    for reason in reasons {
        let (expected, found) = (expected(&reason), findings.dead_letters.get(&reason).copied().unwrap_or(0));
        if expected != found {
            findings.faults.push(Fault::DeadLetters { reason, expected, found });
        }
    }
}

fn compare_users(world: &World, scenario: &Scenario, findings: &mut Findings) {
    for (id, person) in &scenario.after {
        let user = world.graph.user(*id);
        for (property, expected) in person.properties() {
            let found = user.as_ref().map_or(Value::Null, |user| user.get(property));
            if found != expected {
                findings.faults.push(Fault::User { id: *id, property, expected, found });
            }
        }
    }
}
