//! Whose turn comes first: what happens now, or what is put back.

/// How much a change is waited for. The greater of two decides for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Put back from the dead letters. It waited for days; it can wait for what happens now.
    Replayed,
    /// From Dataverse, just now.
    #[default]
    Live,
}
