//! What happened so far in this process, in one sentence.

use std::fmt;

use crate::telemetry::Metrics;

/// The counts, as they are shown at the end.
#[derive(Debug)]
pub struct Tally<'m>(pub &'m Metrics);

impl Tally<'_> {
    fn of(&self, outcome: &str) -> u64 {
        let alike = self.0.messages.iter().filter(|(ended, _)| ended.outcome == outcome);
        alike.map(|(_, count)| count.get()).sum()
    }
}

impl fmt::Display for Tally<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} received, {} applied in {} writes, {} stale, {} needed no write, {} dead-lettered, {} returned \
             for later, {} released, {} not settled",
            self.0.consumed.get(),
            self.of("applied"),
            self.0.changes_per_write.counts().iter().sum::<u64>(),
            self.of("stale"),
            self.of("unchanged"),
            self.of("dead_lettered"),
            self.of("returned"),
            self.of("released"),
            self.of("unsettled"),
        )
    }
}
