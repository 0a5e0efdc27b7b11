//! What surrounds the pipeline: renewal of locks, settlement, and the counts.

pub mod locks;
pub mod settling;
pub mod tally;
