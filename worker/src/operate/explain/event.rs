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
    /// The run tells nothing more, although it has not ended: the process was killed, or what it told last was lost.
    CutOff,
}
