//! The pipeline without sockets.

mod firing;
mod fixtures;
mod organization;
mod registration;
mod system_jobs;
