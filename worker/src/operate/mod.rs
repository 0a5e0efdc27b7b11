//! What people do with the queue: look at dead letters, put them back, decide about what is held aside, count what waits, watch
//! workers, pause them; and beside it: hold contacts against users, and directories against each other.

pub mod backlog;
pub(crate) mod compare;
pub mod dead_letters;
pub(crate) mod explain;
pub(crate) mod held;
pub(crate) mod intake;
mod persevere;
pub(crate) mod read_pace;
pub(crate) mod reconcile;
pub(crate) mod replay;
pub(crate) mod status;
