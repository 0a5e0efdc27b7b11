//! A local Dataverse: one organization, its Web API, and what its writes lead to.
//!
#![doc = include_str!("README.md")]

mod handle;
mod options;

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
mod state;
mod store;
mod tracking;
pub mod value;
mod write;
pub mod written;

pub use access::{Depth, Privileges};
pub use faults::{Answer, Fault};
pub use handle::{Dataverse, StartError, TimedOut};
pub use journal::Entry;
pub use limits::{Limit, Limits};
pub use options::{ADMINISTRATOR, ApplicationUser, Options, Role, Seed, SeedError};
pub use store::Component;
