//! Where the monotonic time of what decides without a clock begins.

use shared::monotonic_time::MonotonicTime;
use tokio::time::Instant;

/// The beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// What was before the beginning counts as the beginning.
    pub(crate) fn moment(self, instant: Instant) -> MonotonicTime {
        MonotonicTime::after_start(instant.saturating_duration_since(self.0))
    }

    pub(crate) fn instant(self, moment: MonotonicTime) -> Instant {
        self.0 + moment.since_start()
    }
}
