//! What people do with the queue: look at dead letters, put them back, count what waits, watch workers, and
//! hold contacts against users beside it.

pub mod backlog;
pub mod dead_letters;
pub(crate) mod reconcile;
pub(crate) mod replay;
pub(crate) mod status;
