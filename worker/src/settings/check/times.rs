//! Times that have to fit into one another.

use std::time::Duration;

use shared::{property::PropertyKind, retry::Ladder};

use super::{
    finding::{Finding, Severity},
    rule::{Rule, Surroundings},
};
use crate::{duration::exact, settings::Parts};

pub(super) const RULES: [Rule; 6] = [
    ladder_beyond_hold,
    return_beyond_age,
    patience_beyond_age,
    longest_return_beyond_age,
    grace_too_short,
    grace_beyond_pod,
];

/// What Kubernetes, Container Apps and Docker Compose with its usual override grant after SIGTERM, less the time
/// to say good-bye to Service Bus.
const USUAL_GRACE: Duration = Duration::from_secs(25);
/// The time to say good-bye.
const GOOD_BYE: Duration = Duration::from_secs(5);

fn ladder_beyond_hold(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let engine = parts.engine.as_ref()?;
    let (retries, hold) = (engine.lanes.retries, engine.max_lock_hold);
    let (tries, longest) = (retries.tries()?, longest_ladder(parts, retries)?);
    (longest > hold).then(|| {
        let (longest, hold) = (exact(longest), exact(hold));
        Finding::new(
            Severity::Warning,
            "retry.tries",
            format!(
                "{tries} tries can take {longest} when calls time out, but a message is handed back after {hold}, so the \
                 last of them never happen"
            ),
            "lower it, retry.longest_delay or connection.request_timeout",
        )
    })
}

/// All tries of a write, each running into its time-out, with the longest waits between them.
fn longest_ladder(parts: &Parts, retries: Ladder) -> Option<Duration> {
    let (rows, reading) = (parts.planner.as_ref()?.mapping.rows(), parts.reading()?);
    let looks = reading.guard.is_some()
        || reading.diff
        || rows.iter().any(|row| row.property.rules().kind == PropertyKind::SignIn);
    let moves_reset = rows.iter().any(|row| row.property.is_reset());
    let calls = if moves_reset {
        3
    } else if looks {
        2
    } else {
        1
    };
    let request = parts.connection.as_ref()?.request_timeout;
    Some(request * retries.tries()? * calls + retries.longest()?)
}

fn return_beyond_age(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (shell, max_age) = (parts.shell.as_ref()?, parts.engine.as_ref()?.max_age);
    let first = shell.returns.ceiling(1);
    (first >= max_age).then(|| {
        let (first, age) = (exact(first), exact(max_age));
        Finding::new(
            Severity::Warning,
            "retry.max_age",
            format!(
                "a message that fails is dead-lettered after {age}, before it is tried again for the first time \
                 (retry.first_return, {first})"
            ),
            "raise it, to 24h as a rule",
        )
    })
}

fn longest_return_beyond_age(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (shell, max_age) = (parts.shell.as_ref()?, parts.engine.as_ref()?.max_age);
    let (first, longest) = (shell.returns.ceiling(1), shell.returns.ceiling(u32::MAX));
    (first < max_age && longest >= max_age).then(|| {
        let (longest, age) = (exact(longest), exact(max_age));
        Finding::new(
            Severity::Note,
            "retry.longest_return",
            format!(
                "{longest} is never waited for, because a message that fails is dead-lettered after \
                 retry.max_age ({age})"
            ),
            "choose a small part of retry.max_age",
        )
    })
}

fn patience_beyond_age(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (shell, max_age) = (parts.shell.as_ref()?, parts.engine.as_ref()?.max_age);
    (shell.not_found_grace >= max_age).then(|| {
        let (patience, age) = (exact(shell.not_found_grace), exact(max_age));
        Finding::new(
            Severity::Warning,
            "retry.not_found_grace",
            format!(
                "an unknown user is waited for {patience}, but the message is dead-lettered after retry.max_age \
                 ({age}), with a reason that does not name the user"
            ),
            "choose much less than retry.max_age",
        )
    })
}

fn grace_too_short(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let grace = parts.shell.as_ref()?.grace;
    (grace < GOOD_BYE).then(|| {
        let grace = exact(grace);
        Finding::new(
            Severity::Warning,
            "pool.grace",
            format!(
                "{grace} leaves little time to writes that are under way; they are repeated after a stop"
            ),
            "set it to 25s, or as much as the pod or service grants less 5s",
        )
    })
}

fn grace_beyond_pod(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let grace = parts.shell.as_ref()?.grace;
    (grace > USUAL_GRACE).then(|| {
        let (grace, needed) = (exact(grace), (grace + GOOD_BYE).as_secs());
        Finding::new(
            Severity::Note,
            "pool.grace",
            format!("{grace} is more than fits into the 30s that a pod is granted as a rule"),
            &format!("set terminationGracePeriodSeconds of the pod to at least {needed}"),
        )
    })
}
