//! Where the messages to put back come from: the dead-letter queue, or a file that was exported from it.

use super::{file::File, selective_receiver::SelectiveReceiver};

/// Where messages come from.
pub(crate) enum ReplaySource<Q: ?Sized> {
    /// The dead-letter queue.
    Queue(Box<SelectiveReceiver<Q>>),
    /// An exported file.
    File(Box<File>),
}
