//! One message that is put back.

use servicebus::{Message, Unsettled};

/// One message to put back.
pub(crate) struct Item {
    /// The message.
    pub message: Message,
    /// Its lock, if it comes from the queue.
    pub lock: Option<Unsettled>,
    /// Whether its copy is in the queue already, and only its completion is missing.
    pub copied: bool,
}
