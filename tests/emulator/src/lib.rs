//! placeholder

pub mod ca;
pub(crate) mod clock;
pub mod graph;
