//! What the settings come to for the engine. A bound that is no setting stands with its reason in the engine's defaults.

use std::time::Duration;

use shared::{engine, gate, lanes, pace::Pace};

use super::parts::Settings;

impl Settings {
    /// Bounds and patience of the engine.
    #[must_use]
    pub fn engine_policy(&self) -> engine::Policy {
        let (pool, retry, throttle) = (&self.pool, &self.retry, &self.throttle);
        engine::Policy {
            lanes: lanes::Limits {
                concurrency: pool.concurrency,
                messages: pool.messages,
                retries: retry.in_place,
                verify_after: Some(self.guard.verify_after).filter(|after| !after.is_zero()),
                ..lanes::Limits::default()
            },
            gate: gate::Limits {
                probe: throttle.probes,
                throttle: throttle.probes,
                ..gate::Limits::default()
            },
            pace: Pace::new(throttle.writes_per_second, throttle.burst),
            bytes: pool.bytes,
            max_age: retry.max_age,
            ..engine::Policy::default()
        }
    }
}

/// How long a message is kept under lock.
pub(super) fn max_lock_hold() -> Duration {
    engine::Policy::default().max_lock_hold
}
