//! What happened so far in this process, counted where it is decided.

use std::{collections::BTreeMap, fmt};

use shared::engine::Ending;

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Messages handed to us, redeliveries included.
    pub received: u64,
    /// How they ended.
    pub endings: BTreeMap<Ending, u64>,
    /// Writes that Graph accepted.
    pub writes: u64,
    /// Writes that failed, whatever became of them.
    pub failed_writes: u64,
    /// Changes that the accepted writes carried.
    pub changes_written: u64,
    /// Locks found to be lost.
    pub locks_lost: u64,
}

impl Tally {
    /// Counts an ending.
    pub fn count(&mut self, ending: Ending) {
        *self.endings.entry(ending).or_default() += 1;
    }

    fn of(&self, outcome: &str) -> u64 {
        self.endings.iter().filter(|(ending, _)| ending.outcome() == outcome).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} received, {} applied in {} writes, {} stale, {} needed no write, {} dead-lettered, {} returned \
             for later, {} released, {} not settled",
            self.received,
            self.of("applied"),
            self.writes,
            self.of("stale"),
            self.of("unchanged"),
            self.of("dead_lettered"),
            self.of("returned"),
            self.of("released"),
            self.of("unsettled"),
        )
    }
}
