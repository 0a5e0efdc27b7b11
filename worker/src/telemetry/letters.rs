//! The dead letters of the whole queue, as far as somebody has looked at them.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Dead letters by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LetterCensus {
    /// When it was looked.
    pub at: Timestamp,
    /// How many of each reason that were seen.
    pub reasons: BTreeMap<Box<str>, u64>,
    /// Whether there are more that were not looked at.
    pub more: bool,
}
