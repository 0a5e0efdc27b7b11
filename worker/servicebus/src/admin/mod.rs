//! The management interface of Service Bus: what is set on a queue or subscription, and how much is in it.
//!
//! [`Describe::describe`] asks, [`AdminClient::set_status`] stops and allows receiving. Both need the right *Manage*. Asking costs the service more than a message does,
//! so ask at a measured pace: for `check` once, for gauges every half minute.
//!
//! ```no_run
//! # async fn example(
//! #     http: reqwest::Client, endpoint: &servicebus::NamespaceEndpoint, tokens: std::sync::Arc<dyn servicebus::TokenSource>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use servicebus::admin::{self, AdminClient, Describe};
//!
//! let root = admin::root(endpoint).ok_or("no address")?;
//! let admin = AdminClient::new(http, &root, "contacts", tokens, servicebus::clock::now);
//! match admin.describe().await {
//!     Ok(queue) => println!("{:?} {:?} {:?}", queue.properties.lock_duration, queue.properties.status, queue.counts),
//!     Err(admin::Error::Denied { .. }) => println!("the identity has no right to manage"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Zeros are not to be trusted by themselves:** while it throttles, the service has been seen to answer with counts
//! of 0. [`Description::counts`] is what it said; look into the queue before you believe them.

mod client;
mod describe;
mod description;
mod duration;
mod entry;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod xml;

pub use client::{AdminClient, root};
pub use describe::{Describe, get_acquainted};
pub use description::{Description, EntityProperties, Status};
pub use error::Error;
