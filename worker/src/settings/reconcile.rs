//! The section `[reconcile]`: holding contacts against users beside the messages.

use std::time::Duration;

use shared::drift::{Limit, Limits};

use super::reader::Reader;

/// How contacts are held against users by the worker that writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReconcilePolicy {
    /// Time between two passes.
    pub interval: Duration,
    /// Time between two passes over everything; those in between read what has changed.
    pub full_every: Duration,
    /// How long the message of a change may be under way.
    pub settle: Duration,
    /// Share of what Graph and Dataverse let an app read, from 0 to 1.
    pub share: f64,
    /// Whether differences are posted to the queue.
    pub apply: bool,
    /// Changes posted in a second.
    pub rate: f64,
    /// How much may be repaired by one pass.
    pub limits: Limits,
}

/// Whether and how it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconcile {
    /// How; `None` not to.
    pub policy: Option<ReconcilePolicy>,
}

const INTERVAL: &str = "reconcile.interval";
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

pub(super) fn reconcile(r: &Reader<'_>) -> Option<Reconcile> {
    r.section(|r| {
        let interval = r.duration(INTERVAL, Duration::ZERO, 30 * DAY);
        if !interval.is_zero() && interval < SECOND {
            r.note(INTERVAL, "must be at least 1s, or 0s not to");
        }
        let policy = ReconcilePolicy {
            interval,
            full_every: r.duration("reconcile.full_every", SECOND, 365 * DAY),
            settle: r.duration("reconcile.settle", Duration::ZERO, DAY),
            share: r.number("reconcile.share", 0.001, 1.0),
            apply: r.flag("reconcile.apply"),
            rate: r.number("reconcile.rate", 0.01, 1_000.0),
            limits: Limits {
                changes: limit(r, "reconcile.max_changes"),
                clears: limit(r, "reconcile.max_clears"),
            },
        };
        Reconcile { policy: Some(policy).filter(|_| !interval.is_zero()) }
    })
}

fn limit(r: &Reader<'_>, key: &str) -> Limit {
    match r.text(key).unwrap_or_default().parse() {
        Ok(limit) => limit,
        Err(wrong) => {
            r.note(key, wrong);
            Limit::Count(0)
        }
    }
}
