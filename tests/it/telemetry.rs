//! What operators see of a worker.

mod catalogue;
