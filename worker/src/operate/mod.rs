//! What people do with the queue: look at dead letters, put them back, count what waits, watch workers; and with directories: hold
//! them against each other.

pub mod backlog;
pub(crate) mod compare;
pub mod dead_letters;
pub(crate) mod explain;
pub(crate) mod replay;
pub(crate) mod status;
