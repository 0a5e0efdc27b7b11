//! The two clocks of this machine.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock;

/// The two clocks of this machine, read together.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// The one that only goes forward.
    pub instant: Instant,
    /// The one that people set.
    pub wall: Timestamp,
}

impl ClockReading {
    /// Both as they are now.
    #[must_use]
    pub fn now() -> Self {
        Self::by(clock::now)
    }

    /// The same with another wall clock.
    #[must_use]
    pub fn by(clock: fn() -> Timestamp) -> Self {
        Self { instant: Instant::now(), wall: clock() }
    }
}
