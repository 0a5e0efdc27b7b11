//! Whether the queue by which replicas agree on who writes is set up for it. That it has sessions and is enabled shows when
//! one of them is held.

use std::time::Duration;

use servicebus::admin::EntityProperties;

use super::{
    caution::{self, Caution},
    finding::Severity,
    probe::Probe,
};
use crate::duration::exact;

/// What the probe is called.
pub const CHECK: &str = "lease queue";

/// A writer that doubts for a moment must not lose its session meanwhile; its successor waits until the lock has lapsed.
const LOCK: Duration = Duration::from_secs(30);

/// Everything there is to say about it beside that.
#[must_use]
pub fn judge(name: &str, properties: &EntityProperties) -> Vec<Probe> {
    let found = [
        forwarding(name, properties),
        lock(name, properties),
        caution::deleted(name, properties).map(deleted),
    ];
    found.into_iter().flatten().collect()
}

fn forwarding(name: &str, properties: &EntityProperties) -> Option<Probe> {
    let Caution { what, remedy } = caution::forwarded(name, properties.forward_to.as_deref()?);
    Some(Probe::failed(CHECK, what, &remedy))
}

fn lock(name: &str, properties: &EntityProperties) -> Option<Probe> {
    let lock = properties.lock_duration.filter(|lock| *lock != LOCK)?;
    let what = if lock < LOCK {
        "a writer that loses its connection for a moment loses its session, and another takes over"
    } else {
        "so long another replica waits for a writer that is lost in silence"
    };
    let text = format!("the lock of {name} is {}; {what}", exact(lock));
    Some(Probe::found(Severity::Warning, CHECK, text, "set the lock duration to 30 seconds"))
}

/// An empty queue counts as idle, however often its session is renewed.
fn deleted(caution: Caution) -> Probe {
    Probe::found(
        Severity::Warning,
        CHECK,
        caution.what,
        "set auto-delete on idle to never: then nobody could write",
    )
}

#[cfg(test)]
mod tests {
    use servicebus::admin::Status;

    use super::*;

    #[test]
    fn a_lease_queue_has_a_lock_of_30_seconds_and_stays() {
        let fits = EntityProperties {
            lock_duration: Some(LOCK),
            max_delivery_count: Some(10),
            requires_session: Some(true),
            duplicate_detection: Some(false),
            duplicate_window: None,
            dead_letters_expired: Some(false),
            default_ttl: None,
            auto_delete_on_idle: None,
            status: Status::Active,
            max_size_megabytes: Some(1024),
            forward_to: None,
            forward_dead_letters_to: None,
        };
        assert_eq!(judge("lease", &fits), []);
        let told = |properties: EntityProperties| {
            let probes = judge("lease", &properties);
            probes.iter().map(|probe| format!("{}: {}", probe.result(), probe.what)).collect::<Vec<_>>()
        };
        for (seconds, part) in [(10, "another takes over"), (300, "lost in silence")] {
            let other =
                EntityProperties { lock_duration: Some(Duration::from_secs(seconds)), ..fits.clone() };
            let told = told(other);
            assert!(
                matches!(&told[..], [only] if only.starts_with("warning: the lock") && only.contains(part)),
                "{told:?}"
            );
        }
        let idle = EntityProperties { auto_delete_on_idle: Some(Duration::from_mins(10)), ..fits.clone() };
        assert_eq!(told(idle).len(), 1);
        let forwards = EntityProperties { forward_to: Some("other".into()), ..fits };
        assert_eq!(told(forwards).len(), 1);
    }
}
