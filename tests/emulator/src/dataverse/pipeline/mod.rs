//! The pipeline of an organization: a committed write fires the registered steps, and each runs as a system job that
//! posts the execution context to a Service Bus.
//!
//! Whoever keeps the tables asks [`check_write`] and [`check_delete`] first, and after each commit calls
//! [`Pipeline::committed`] under the same lock. [`Pipeline::run`] does the posting.

mod columns;
mod context;
mod entity;
mod firing;
pub mod format;
mod jobs;
pub mod node;
mod post;
mod rules;
mod service;
mod steps;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

pub use firing::contexts;
pub use post::{LARGEST, code};
pub use rules::{check_delete, check_write};
pub use service::{Pipeline, RETRIES};

use super::value::Tables;
use crate::poster::Poster;

/// What contexts say about the organization.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its id.
    pub organization: Uuid,
    /// Its unique name, often `unq` and hexadecimal digits.
    pub unique_name: String,
    /// The business unit of users for whom none is known.
    pub business_unit: Uuid,
    /// Its host, which messages carry as a claim.
    pub host: String,
}

/// How system jobs are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where contexts can be posted to. Any other address refuses connections.
    pub buses: Vec<Poster>,
    /// How long a job that met a network error waits at first. The wait doubles each time.
    pub retry_unit: Duration,
}

impl Default for Options {
    /// No bus, and a minute.
    fn default() -> Self {
        Self { buses: Vec::new(), retry_unit: Duration::from_mins(1) }
    }
}

/// The tables of the organization, for whoever works beside requests.
pub trait Store: Send + Sync {
    /// Changes the tables under their lock.
    fn change(&self, change: &mut dyn FnMut(&mut Tables));

    /// The present moment by the organization's clock.
    fn now(&self) -> Timestamp;
}
