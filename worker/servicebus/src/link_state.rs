//! How the receiving link fares.

use std::sync::Arc;

use jiff::Timestamp;

/// How the receiving link fares, for readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// On the way, for the first time or after a loss.
    Connecting,
    /// Messages can come.
    Ready,
    /// The latest attempt failed; the next is under way by itself.
    Failed {
        /// Why, with all causes in one line.
        what: Arc<str>,
        /// Since when no attempt has succeeded.
        since: Timestamp,
    },
    /// Closed by us.
    Closed,
}
