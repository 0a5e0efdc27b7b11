//! What surrounds the pipeline: renewal of locks, settlement, the copies that come back later, and the counts.

pub mod locks;
pub mod returns;
pub mod settling;
pub mod tally;
