//! The clocks of one turn.

use jiff::Timestamp;
use shared::monotonic_time::MonotonicTime;
use tokio::time::Instant;

/// The time of a turn: read once, for everything that a turn does.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) moment: MonotonicTime,
    pub(super) wall: Timestamp,
}
