//! A local Dataverse: one organization, its Web API, and what its writes lead to.
//!
#![doc = include_str!("README.md")]

mod handle;
mod options;
mod start;

mod access;
mod batch;
mod bulk;
mod call;
mod commit;
mod core;
mod doors;
mod facts;
mod faults;
mod filter;
mod foundation;
mod functions;
mod gzip;
mod inside;
mod journal;
mod json;
mod limits;
mod list;
mod metadata;
mod multipart;
mod paging;
pub mod pipeline;
mod present;
mod query;
mod read;
pub mod refusal;
mod reply;
mod route;
mod schema;
mod server;
mod state;
mod store;
mod tracking;
pub mod value;
mod write;
pub mod written;

pub use access::{Depth, Privileges};
pub use faults::{Answer, Fault};
pub use handle::{Dataverse, TimedOut};
pub use journal::Entry;
pub use limits::{Limit, Limits};
pub use options::{ADMINISTRATOR, ApplicationUser, Options, Role, Seed};
pub use start::StartError;
pub use store::Component;

#[cfg(test)]
mod tests;
