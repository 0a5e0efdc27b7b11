//! Times that have to fit into one another.

use std::time::Duration;

use shared::property::Kind;

use super::{Finding, Rule, Severity, Surroundings};
use crate::{
    settings::check::finding::time,
    settings::{Graph, Parts, Retry},
};

pub(super) const RULES: [Rule; 8] = [
    connect_beyond_request,
    ladder_beyond_hold,
    wait_beyond_hold,
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

fn connect_beyond_request(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let graph = parts.graph.as_ref()?;
    (graph.connect_timeout > graph.request_timeout).then(|| {
        Finding::new(
            Severity::Warning,
            "graph.connect_timeout",
            format!(
                "{} can never be waited for, because graph.request_timeout ends the call after {}",
                time(graph.connect_timeout),
                time(graph.request_timeout)
            ),
            "make it the shorter of the two",
        )
    })
}

fn ladder_beyond_hold(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (retry, hold) = (parts.retry.as_ref()?, parts.pool.as_ref()?.max_lock_hold);
    let (tries, longest) = (retry.in_place.tries()?, longest_ladder(parts, parts.graph.as_ref()?, retry)?);
    (longest > hold).then(|| {
        let (longest, hold) = (time(longest), time(hold));
        Finding::new(
            Severity::Warning,
            "retry.tries",
            format!(
                "{tries} tries can take {longest} when calls time out, but a message is handed back after \
                 pool.max_lock_hold ({hold}), so the last of them never happen"
            ),
            "lower it, retry.longest_delay or graph.request_timeout; or raise pool.max_lock_hold",
        )
    })
}

/// All tries of a write, each running into its time-out, with the longest waits between them.
fn longest_ladder(parts: &Parts, graph: &Graph, retry: &Retry) -> Option<Duration> {
    let rows = parts.planner.as_ref()?.mapping.rows();
    let looks = graph.reading.guard.is_some()
        || graph.reading.diff
        || rows.iter().any(|row| row.property.rules().kind == Kind::SignIn);
    let calls = if looks { 2 } else { 1 };
    Some(graph.request_timeout * retry.in_place.tries()? * calls + retry.in_place.longest()?)
}

fn wait_beyond_hold(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (wait, hold) = (parts.throttle.as_ref()?.longest_wait, parts.pool.as_ref()?.max_lock_hold);
    (wait > hold).then(|| {
        let (wait, hold) = (time(wait), time(hold));
        Finding::new(
            Severity::Note,
            "throttle.longest_wait",
            format!(
                "if Graph asks for {wait}, the messages held are handed back after pool.max_lock_hold \
                 ({hold})"
            ),
            "choose not more than pool.max_lock_hold, unless that is what you want",
        )
    })
}

fn return_beyond_age(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let retry = parts.retry.as_ref()?;
    let first = retry.returns.ceiling(1);
    (first >= retry.max_age).then(|| {
        let (first, age) = (time(first), time(retry.max_age));
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
    let retry = parts.retry.as_ref()?;
    let (first, longest) = (retry.returns.ceiling(1), retry.returns.ceiling(u32::MAX));
    (first < retry.max_age && longest >= retry.max_age).then(|| {
        let (longest, age) = (time(longest), time(retry.max_age));
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
    let retry = parts.retry.as_ref()?;
    (retry.not_found_grace >= retry.max_age).then(|| {
        let (patience, age) = (time(retry.not_found_grace), time(retry.max_age));
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
    let grace = parts.pool.as_ref()?.grace;
    (grace < GOOD_BYE).then(|| {
        let grace = time(grace);
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
    let grace = parts.pool.as_ref()?.grace;
    (grace > USUAL_GRACE).then(|| {
        let (grace, needed) = (time(grace), (grace + GOOD_BYE).as_secs());
        Finding::new(
            Severity::Note,
            "pool.grace",
            format!("{grace} is more than fits into the 30s that a pod is granted as a rule"),
            &format!("set terminationGracePeriodSeconds of the pod to at least {needed}"),
        )
    })
}
