//! Something that happened.

use jiff::Timestamp;

use crate::journal::{Entry, Place, Tag};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoryEvent {
    /// When.
    pub(crate) at: Timestamp,
    /// Where.
    pub(crate) place: Place,
    /// What.
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// As it was told.
    Told(Entry<Tag>),
    /// The run tells nothing more, although something had been begun.
    CutOff {
        /// Whether the run had come to its end; else the process was killed, or still works.
        stopped: bool,
        /// Writes that were begun, and of which no end is told: whether they took effect is not known.
        writes: Vec<u64>,
        /// Messages that were going to be settled: whether that reached the queue is not known.
        settling: Vec<i64>,
    },
}
