//! Whether an old change can overwrite a newer one, or a change be lost.

use std::time::Duration;

use super::{
    finding::{Finding, Severity},
    rule::{Rule, Surroundings},
};
use crate::{duration::exact, settings::Parts};

pub(super) const RULES: [Rule; 5] =
    [replicas_without_lease, guard_missing, second_look_needless, second_look_too_soon, diff];

/// A look and a write together, on a slow day.
const LOOK_AND_WRITE: Duration = Duration::from_secs(5);

fn guard_missing(parts: &Parts, around: Surroundings) -> Option<Finding> {
    let missing = parts.guard.as_ref()?.attribute.is_none();
    let several = around.several().is_some() || is_leased(parts)?;
    let severity = if several { Severity::Warning } else { Severity::Note };
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

fn second_look_needless(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let looks = parts.engine.as_ref()?.lanes.verify_after.is_some();
    (is_leased(parts)? && looks).then(|| {
        Finding::new(
            Severity::Note,
            "guard.verify_after",
            "with replicas.lease_queue one replica writes, and what a predecessor may still have under way is looked at \
             anyway; a second look at every write costs a read and keeps its message",
            "set it to 0s",
        )
    })
}

fn second_look_too_soon(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let after = parts.engine.as_ref()?.lanes.verify_after?;
    (after < LOOK_AND_WRITE).then(|| {
        let after = exact(after);
        Finding::new(
            Severity::Warning,
            "guard.verify_after",
            format!("{after} is less than a look and a write of another replica can take together"),
            "set it to 10s",
        )
    })
}

fn diff(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (graph, guard) = (parts.graph.as_ref()?, parts.guard.as_ref()?);
    (graph.diff && guard.attribute.is_none()).then(|| {
        Finding::new(
            Severity::Warning,
            "graph.diff",
            "\"read\" compares with values that can lag behind writes by seconds, so a change that goes back to an \
             earlier value can look needless and be lost",
            "set guard.attribute, or set it to \"nothing\"",
        )
    })
}

fn replicas_without_lease(parts: &Parts, around: Surroundings) -> Option<Finding> {
    let replicas = around.several()?;
    (!is_leased(parts)?).then(|| {
        Finding::new(
            Severity::Error,
            "replicas.lease_queue",
            format!(
                "{replicas} replicas would write to the same users and share a quota without knowing of each other"
            ),
            "make a queue with sessions in the same namespace and name it here, or run one replica",
        )
    })
}

/// Whether replicas agree on who writes.
fn is_leased(parts: &Parts) -> Option<bool> {
    Some(parts.replicas.as_ref()?.lease_queue.is_some())
}
