//! What the settings come to for the engine. A bound that is no setting stands with its reason in the engine's defaults.

use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::{engine, gate, lanes, rate_limiter::RateLimiter};

use super::parts::Settings;

impl Settings {
    /// Bounds and patience of the engine.
    #[must_use]
    pub fn engine_policy(&self) -> engine::EnginePolicy {
        let (pool, retry, throttle) = (&self.pool, &self.retry, &self.throttle);
        engine::EnginePolicy {
            lanes: lanes::LaneLimits {
                concurrency: pool.concurrency,
                messages: pool.messages,
                retries: retry.in_place,
                verify_after: Some(self.guard.verify_after).filter(|after| !after.is_zero()),
                ..lanes::LaneLimits::default()
            },
            gate: gate::GateLimits {
                probe: throttle.probes,
                throttle: throttle.probes,
                ..gate::GateLimits::default()
            },
            pace: RateLimiter::new(throttle.writes_per_second, throttle.burst),
            bytes: pool.bytes,
            max_age: retry.max_age,
            ..engine::EnginePolicy::default()
        }
    }
}

/// Sections and keys that decide what is written to whom.
const DECISIVE: [&str; 8] =
    ["cloud", "filter.", "graph.", "guard.", "identity.client_id", "identity.tenant", "link.", "mapping."];

impl Settings {
    /// The same for replicas that write the same, and no secret: the beginning of a hash of what decides about writes.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (key, entry) in &self.entries {
            if DECISIVE.iter().any(|start| key.starts_with(start)) {
                hash.update(format!("{key}={}\n", entry.value));
            }
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// How long a message is kept under lock.
pub(super) fn max_lock_hold() -> Duration {
    engine::EnginePolicy::default().max_lock_hold
}
