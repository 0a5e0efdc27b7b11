//! The state of the receiving link.

use std::sync::Arc;

use jiff::Timestamp;

/// The state of the receiving link, for readiness probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Connecting, for the first time or again.
    Connecting,
    /// Attached: messages can arrive.
    Ready,
    /// The last attempt failed. The client retries by itself.
    Failed {
        /// The error with all its causes, on one line.
        what: Arc<str>,
        /// Time of the first failure since the link was last attached.
        since: Timestamp,
        /// When the next attempt is made.
        again: Timestamp,
    },
    /// Closed by us.
    Closed,
}
