//! A local Microsoft Graph for users, and the authority that issues its tokens.
//!
#![doc = include_str!("README.md")]

mod handle;
mod options;
mod seed;

mod access;
mod batch;
mod call;
mod core;
mod deleted;
mod directory;
mod faults;
mod filter;
mod identities;
mod inspect;
mod journal;
mod list;
mod methods;
mod property;
mod read;
mod refusal;
mod reply;
mod route;
mod server;
mod state;
mod throttle;
mod token;
mod user;

pub use directory::{AddError, Change};
pub use faults::{Answer, ErrorAnswer, Fault, Page, RetryAfter, Scope};
pub use handle::{Graph, StartError, TimedOut};
pub use journal::{Counters, Entry, Kind};
pub use options::{Clocks, Options, Profile, RetryAfterForm, Size, Tenant, Throttle};
pub use seed::Seed;
pub use throttle::Level;
pub use token::{
    App, Audience, DEFAULT_CLIENT_ID, DEFAULT_SECRET, FederatedCredential, Grant, IDENTITY_HEADER, Issuer,
    IssuerError, ManagedIdentity, Secret,
};
pub use user::{Identity, User};

#[cfg(test)]
pub(crate) mod tests;
