//! A comparison under way: what it has, how far it has come, and why it cannot go on.

use std::time::Duration;

use shared::{
    comparison::{ComparisonScope, Side},
    target::TargetName,
};

use super::{
    directory::ComparedDirectory,
    state::{self, ComparisonState},
};
use crate::graph;

/// What cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComparisonError {
    /// A directory does not answer.
    #[error("the users of target {target} cannot be read")]
    Directory {
        /// Which one.
        target: TargetName,
        /// Why not.
        #[source]
        cause: graph::Error,
    },
    /// What was read cannot be kept.
    #[error("what was read cannot be kept")]
    State(#[source] state::Error),
    /// The link to the next page leads nowhere, time and again.
    #[error("graph gives up the list of users of target {0} before its end, time and again; try later")]
    Endless(TargetName),
}

/// A comparison under way.
pub(crate) struct DirectoryComparison {
    /// What is compared.
    pub(crate) scope: ComparisonScope,
    /// The directories.
    pub(crate) directories: [ComparedDirectory; 2],
    /// What was read.
    pub(crate) state: ComparisonState,
    /// How long to wait before what differs is looked at once more: changes may be under way.
    pub(crate) settle: Duration,
}

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadProgress {
    /// So many contacts are named by the users that were read of each directory.
    Read([usize; 2]),
    /// So many of the differences were looked at once more.
    LookedAgain { done: usize, of: usize },
}

impl DirectoryComparison {
    /// What it means that a directory does not answer.
    pub(super) fn failed(&self, side: Side, cause: graph::Error) -> ComparisonError {
        ComparisonError::Directory { target: self.directories[side.index()].name().clone(), cause }
    }
}
