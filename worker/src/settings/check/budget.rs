//! Whether the write budget, the pool and the quota of Graph fit together.

use super::{
    finding::{Finding, Severity},
    rule::{Rule, Surroundings},
};
use crate::settings::{Graph, Parts};

pub(super) const RULES: [Rule; 2] = [above_quota, too_few_writes_at_once];

/// Writes a second that Graph allows to one app in one tenant.
const QUOTA: f64 = 20.0;
/// Seconds that a write takes as a rule.
const WRITE: f64 = 0.5;

/// Whether writes go to the real Graph; one on this machine has the quota it was started with.
fn is_real(graph: &Graph) -> bool {
    !matches!(graph.root.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn above_quota(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let rate = parts.engine.as_ref()?.pace.rate();
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

fn too_few_writes_at_once(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let engine = parts.engine.as_ref()?;
    let (rate, concurrency) = (engine.pace.rate(), engine.lanes.concurrency);
    let needed = rate * WRITE;
    let possible = f64::from(u32::try_from(concurrency).ok()?) / WRITE;
    (is_real(parts.graph.as_ref()?) && possible < rate).then(|| {
        Finding::new(
            Severity::Note,
            "pool.concurrency",
            format!(
                "{concurrency} writes at once, of half a second each, make {possible} a second, less than \
                 throttle.writes_per_second allows ({rate})"
            ),
            &format!("raise it to {:.0} or more", needed.ceil()),
        )
    })
}
