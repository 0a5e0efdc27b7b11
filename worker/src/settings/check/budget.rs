//! Whether the write budget, the pool and the quota of Graph fit together.

use super::{
    finding::{Finding, Severity},
    rule::{Rule, Surroundings},
};
use crate::settings::{Graph, Parts};

pub(super) const RULES: [Rule; 4] =
    [above_quota, burst_above_bucket, too_few_writes_at_once, too_few_messages];

/// Writes a second that Graph allows to one app in one tenant.
const QUOTA: f64 = 20.0;
/// Writes that it allows in 150 seconds, however they are spread.
const BUCKET: f64 = 3_000.0;
/// Seconds that a write takes as a rule.
const WRITE: f64 = 0.5;

/// Whether writes go to the real Graph; one on this machine has the quota it was started with.
fn is_real(graph: &Graph) -> bool {
    !matches!(graph.root.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn above_quota(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let rate = parts.throttle.as_ref()?.writes_per_second;
    (is_real(parts.graph.as_ref()?) && rate > QUOTA).then(|| {
        Finding::new(
            Severity::Warning,
            "throttle.writes_per_second",
            format!(
                "{rate} is above the 20 writes a second that Graph allows to one app in one tenant; what is above \
                 is answered with 429"
            ),
            "set it to 20 or less",
        )
    })
}

fn burst_above_bucket(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let burst = parts.throttle.as_ref()?.burst;
    (is_real(parts.graph.as_ref()?) && burst > BUCKET).then(|| {
        Finding::new(
            Severity::Warning,
            "throttle.burst",
            format!("{burst} writes at once are more than Graph allows in 150 seconds, which is 3000"),
            "set it to 20, or to some hundreds for backlogs",
        )
    })
}

fn too_few_writes_at_once(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let (rate, pool) = (parts.throttle.as_ref()?.writes_per_second, parts.pool.as_ref()?);
    let needed = rate * WRITE;
    let possible = f64::from(u32::try_from(pool.concurrency).ok()?) / WRITE;
    (is_real(parts.graph.as_ref()?) && possible < rate).then(|| {
        Finding::new(
            Severity::Note,
            "pool.concurrency",
            format!(
                "{} writes at once, of half a second each, make {possible} a second, less than \
                 throttle.writes_per_second allows ({rate})",
                pool.concurrency
            ),
            &format!("raise it to {:.0} or more", needed.ceil()),
        )
    })
}

fn too_few_messages(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let pool = parts.pool.as_ref()?;
    (pool.messages < pool.concurrency).then(|| {
        Finding::new(
            Severity::Warning,
            "pool.messages",
            format!(
                "{} messages are held at once, so there are never pool.concurrency ({}) writes under way",
                pool.messages, pool.concurrency
            ),
            "raise it to some hundreds, so that changes of one user can meet",
        )
    })
}
