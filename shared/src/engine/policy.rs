//! What one replica is told.

use std::time::Duration;

use crate::{gate, lanes, mass_change::MassChangePolicy, rate_limiter::RateLimiter};

/// Bounds and patience of one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct EnginePolicy {
    /// Bounds of the lanes.
    pub lanes: lanes::LaneLimits,
    /// Bounds of the gate.
    pub gate: gate::GateLimits,
    /// Write budget.
    pub pace: RateLimiter,
    /// Bytes of bodies held at once.
    pub bytes: usize,
    /// Age after which a message that still fails is dead-lettered.
    pub max_age: Duration,
    /// Longest time that a message is kept under lock before it is handed back.
    pub max_lock_hold: Duration,
    /// Whether rows of Dataverse can be read, for a user of whom Graph knows nothing. What a message lacks is asked for by
    /// [`Planner::read_back`](crate::plan::Planner::read_back).
    pub read_back: bool,
    /// How many users may be changed alike.
    pub mass_change: MassChangePolicy,
}

impl Default for EnginePolicy {
    /// What the file of default settings says.
    fn default() -> Self {
        Self {
            lanes: lanes::LaneLimits::default(),
            gate: gate::GateLimits::default(),
            // What Graph allows one app in one tenant.
            pace: RateLimiter::new(20.0, 20.0),
            bytes: 32 << 20,
            max_age: Duration::from_hours(24),
            max_lock_hold: Duration::from_mins(10),
            read_back: false,
            mass_change: MassChangePolicy::default(),
        }
    }
}
