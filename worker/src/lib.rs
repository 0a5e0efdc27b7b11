//! The shell around the pure core: everything that talks to the outside.

pub mod bus;
pub mod clock;
