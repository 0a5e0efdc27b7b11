//! Where the messages to put back come from: the dead-letter queue, or a file that was exported from it.

use servicebus::{Message, Unsettled};

use super::{File, Taking};

/// One message to put back.
pub struct Item {
    /// The message.
    pub message: Message,
    /// Its lock, if it comes from the queue.
    pub lock: Option<Unsettled>,
    /// Whether its copy is in the queue already, and only its completion is missing.
    pub copied: bool,
}

/// Where messages come from.
pub enum Supply<Q> {
    /// The dead-letter queue.
    Queue(Box<Taking<Q>>),
    /// An exported file.
    File(Box<File>),
}
