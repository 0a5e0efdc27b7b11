//! Whether an old change can overwrite a newer one, or a change be lost.

use std::time::Duration;

use super::{
    finding::{Finding, Severity},
    rule::{Rule, Surroundings},
};
use crate::{duration::exact, settings::Parts};

pub(super) const RULES: [Rule; 4] = [guard_missing, second_look_missing, second_look_too_soon, diff];

/// A look and a write together, on a slow day.
const LOOK_AND_WRITE: Duration = Duration::from_secs(5);

fn guard_missing(parts: &Parts, around: Surroundings) -> Option<Finding> {
    let missing = parts.guard.as_ref()?.attribute.is_none();
    let severity = if around.several() == Some(true) { Severity::Warning } else { Severity::Note };
    missing.then(|| {
        Finding::new(
            severity,
            "guard.attribute",
            "without a guard, an old message that arrives after a restart, by another replica or from the \
             dead-letter queue can overwrite a newer value",
            "name an attribute of the user that nothing else writes, such as extensionAttribute15",
        )
    })
}

fn second_look_missing(parts: &Parts, around: Surroundings) -> Option<Finding> {
    let guard = parts.guard.as_ref()?;
    let missing = guard.attribute.is_some() && guard.verify_after.is_zero();
    let severity = several(around).filter(|_| missing)?;
    Some(Finding::new(
        severity,
        "guard.verify_after",
        "with several replicas, of two writes that cross each other the older value can come last",
        "set it to 10s if there are several replicas",
    ))
}

fn second_look_too_soon(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let after = parts.guard.as_ref()?.verify_after;
    (!after.is_zero() && after < LOOK_AND_WRITE).then(|| {
        let after = exact(after);
        Finding::new(
            Severity::Warning,
            "guard.verify_after",
            format!("{after} is less than a look and a write of another replica can take together"),
            "set it to 10s",
        )
    })
}

fn diff(parts: &Parts, around: Surroundings) -> Option<Finding> {
    let (graph, guarded) = (parts.graph.as_ref()?, parts.guard.as_ref()?.attribute.is_some());
    let severity = if guarded { several(around) } else { Some(Severity::Warning) }.filter(|_| graph.diff)?;
    let remedy = if guarded {
        "keep it with one replica; with several, set it to \"nothing\""
    } else {
        "set guard.attribute, or set it to \"nothing\""
    };
    Some(Finding::new(
        severity,
        "graph.diff",
        "\"read\" compares with values that can lag behind writes by seconds, so a change that goes back to an \
         earlier value can look needless and be lost",
        remedy,
    ))
}

/// How grave it is what matters with several replicas only.
fn several(around: Surroundings) -> Option<Severity> {
    match around.several() {
        None => Some(Severity::Note),
        Some(true) => Some(Severity::Warning),
        Some(false) => None,
    }
}
