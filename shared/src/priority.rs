//! Whose turn comes first: what happens now, or what is put back.

/// How much a change is waited for. The greater of two decides for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Put back from the dead letters. It waited for days; it can wait for what happens now.
    Replayed,
    /// One of many that one person or program changes alike. Nobody sits before a screen for each of them.
    Bulk,
    /// From Dataverse, just now.
    #[default]
    Live,
}
