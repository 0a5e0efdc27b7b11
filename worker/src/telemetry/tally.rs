//! What happened so far in this process, in one sentence.

use std::fmt;

use super::Metrics;

/// The counts, as they are shown at the end.
#[derive(Debug)]
pub(crate) struct Tally<'m>(pub &'m Metrics);

impl fmt::Display for Tally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.messages_by(|ended| Some(ended.outcome));
        let of = |outcome| counts.get(outcome).copied().unwrap_or_default();
        write!(
            f,
            "{} received, {} applied in {} writes, {} stale, {} needed no write, {} dead-lettered, {} returned \
             for later, {} released, {} not settled",
            self.0.consumed.get(),
            of("applied"),
            self.0.changes_per_write.count(),
            of("stale"),
            of("unchanged"),
            of("dead_lettered"),
            of("returned"),
            of("released"),
            of("unsettled"),
        )
    }
}
