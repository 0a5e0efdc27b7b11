//! Where the next pass can go on: what was read is not read again as long as somebody tells what has changed since.

use jiff::{SignedDuration, Timestamp};

use crate::ids::ContactId;

/// What a pass over all contacts, and every one after it, leaves for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The link by which Dataverse tells what has changed since; `None` if it tracks no changes.
    pub link: Option<Box<str>>,
    /// When the last pass over everything began.
    pub full_at: Timestamp,
    /// Contacts that differed, and have to be looked at again although nothing may have changed.
    pub known: Vec<ContactId>,
}

impl Baseline {
    /// Most contacts that are remembered, and looked at one by one. Where more differ or have changed, everything is read again:
    /// a page holds a thousand users and a look holds one.
    pub const MOST_KNOWN: usize = 2_000;

    /// Whether a pass over what has changed is enough now. A clock that was set back says no.
    #[must_use]
    pub fn is_enough(&self, now: Timestamp, full_every: SignedDuration) -> bool {
        let age = now.duration_since(self.full_at);
        self.link.is_some() && !age.is_negative() && age < full_every
    }
}
