//! What a run is to do.

use std::time::Duration;

use uuid::Uuid;

use super::Pacing;
use crate::settings::check::EntityUse;

/// What happens to the messages of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayAction {
    /// Send a copy, then remove the dead letter.
    PutBack,
    /// Remove the dead letter.
    Remove,
}

/// What a run is to do.
#[derive(Clone, Debug)]
pub(crate) struct ReplayOptions {
    /// Names the run.
    pub replay: Uuid,
    /// To do what.
    pub action: ReplayAction,
    /// How fast.
    pub pacing: Pacing,
    /// How long to wait for outcomes, and for messages that somebody else keeps under lock.
    pub patience: Duration,
    /// Messages of the set.
    pub members: u64,
    /// Messages looked at to find them.
    pub looked_at: u64,
    /// The queue whose dead letters they are, and the one that copies go to.
    pub ends: (EntityUse, EntityUse),
}
