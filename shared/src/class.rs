//! What a failure of an outside service means for what we do next.

use std::time::Duration;

/// The only thing the engine looks at when a call to Graph or Service Bus failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It may work in a moment; the outcome of the call may be unknown. Try again after a wait that grows.
    Transient,
    /// The service asks everyone to wait. No attempt is counted.
    Throttled {
        /// How long, if the service said so.
        retry_after: Option<Duration>,
    },
    /// It will not work for this message however often it is tried.
    Permanent,
    /// It will not work for any message until a person mends the installation. Stop taking messages.
    Installation,
}
