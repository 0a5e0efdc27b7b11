//! Why a run ends before it has read everything.

use std::io;

use crate::{dataverse, graph, private_file};

/// A run cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// Dataverse does not answer, or refuses.
    #[error("the contacts cannot be read: {}", .0.explained())]
    Dataverse(Box<dataverse::Error>),
    /// Dataverse does not know any more what has changed since.
    #[error("dataverse does not tell what has changed since: {}", .0.explained())]
    Position(Box<dataverse::Error>),
    /// So much has changed that everything is read for less.
    #[error("too much has changed to look at it one by one")]
    ManyChanges,
    /// Graph does not answer, or refuses.
    #[error("the users cannot be read")]
    Graph(#[source] Box<graph::Error>),
    /// A list of Graph's comes back to a page that was read.
    #[error("the users cannot be read: the link to the next page leads back to one that was read")]
    Circle,
    /// A column cannot be read as messages carry it.
    #[error("{0}")]
    Columns(Box<str>),
    /// A row is not as its metadata say.
    #[error("a row of Dataverse has no usable {0}; report it as a fault in contactsync")]
    Row(Box<str>),
    /// The settings let no update count.
    #[error("filter.operations leaves updates out, so no change that reconcile posts would count")]
    NoUpdates,
    /// The queue cannot be looked at.
    #[error("the queue cannot be looked at: {0}")]
    Queue(Box<str>),
    /// The state file cannot be used.
    #[error("the state file cannot be used")]
    StateFile(#[source] private_file::Error),
    /// The state file cannot be read or written.
    #[error("the state file cannot be read or written")]
    State(#[source] io::Error),
}

impl ReconcileError {
    /// Whether only a pass over everything helps.
    pub(super) const fn asks_for_all(&self) -> bool {
        matches!(self, Self::Position(_) | Self::ManyChanges)
    }
}

impl From<dataverse::Error> for ReconcileError {
    fn from(error: dataverse::Error) -> Self {
        Self::Dataverse(Box::new(error))
    }
}

impl From<graph::Error> for ReconcileError {
    fn from(error: graph::Error) -> Self {
        Self::Graph(Box::new(error))
    }
}

impl From<private_file::Error> for ReconcileError {
    fn from(error: private_file::Error) -> Self {
        Self::StateFile(error)
    }
}

impl From<io::Error> for ReconcileError {
    fn from(error: io::Error) -> Self {
        Self::State(error)
    }
}
