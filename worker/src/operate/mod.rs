//! What people do with the queue: look at dead letters, put them back, count what waits, watch workers.

pub mod backlog;
pub mod dead_letters;
pub(crate) mod explain;
pub(crate) mod replay;
pub(crate) mod status;
