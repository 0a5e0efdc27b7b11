//! What surrounds the pipeline: the messages under lock, the renewal of their locks, the copies that come
//! back later, and the counts of it all.

pub mod held;
pub mod intake;
pub mod locks;
pub mod returns;
pub mod settling;
pub mod tally;
