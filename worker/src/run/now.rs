//! The clocks of one turn.

use jiff::Timestamp;
use shared::moment::Moment;
use tokio::time::Instant;

/// The time of a turn: read once, for everything that a turn does.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) moment: Moment,
    pub(super) wall: Timestamp,
}
