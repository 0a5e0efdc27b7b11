//! Which of two changes of one contact is the newer one.
//!
//! A message may carry two clues. The **row version** is exact, but is there only if the administrator
//! registered `versionnumber` in an image or the caller used optimistic concurrency. The **time** at which
//! Dataverse recorded the event (`OperationCreatedOn`, else `modifiedon`) is always there, but two updates
//! within its resolution are indistinguishable. Row versions are compared with row versions and times with
//! times; [`Version::is_newer_than`] is for two versions, the per-attribute register is what
//! makes a lawful merge of any number of them.

use jiff::Timestamp;

/// Where a change stands among the changes of its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Row version after the change, if the message carries it.
    pub row: Option<u64>,
    /// When Dataverse recorded the change, in UTC.
    pub at: Timestamp,
}

impl Version {
    /// A version known by its time alone.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { row: None, at }
    }

    /// Whether this change came after the other one.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        match (self.row, other.row) {
            (Some(mine), Some(theirs)) => (mine, self.at) > (theirs, other.at),
            _ => self.at > other.at,
        }
    }
}
