//! Where the messages to put back come from: the dead-letter queue, or a file that was exported from it.

use super::{file::File, taking::Taking};

/// Where messages come from.
pub(crate) enum Supply<Q> {
    /// The dead-letter queue.
    Queue(Box<Taking<Q>>),
    /// An exported file.
    File(Box<File>),
}
