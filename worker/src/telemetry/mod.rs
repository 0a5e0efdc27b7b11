//! What a worker counts, logs and traces, and whether it is well.
//!
//! [`catalogue`] declares every [`metric`] in a row, from which follows all that is kept of it in [`values`] by [`labels`].
//! They leave as text for [`prometheus`] and by [`otlp`], with the spans of [`trace`]. [`observer`] takes in what the pipeline reports.

pub(crate) mod beginning;
pub mod catalogue;
mod clocks;
pub(crate) mod credentials;
pub(crate) mod drift;
pub(crate) mod drift_labels;
pub(crate) mod health;
pub(crate) mod held_aside;
mod keeping;
pub(crate) mod labels;
pub(crate) mod last_error;
pub(crate) mod letters;
pub(crate) mod logging;
pub(crate) mod metric;
pub(crate) mod metrics;
mod next_tries;
pub(crate) mod notifications;
pub(crate) mod observer;
pub(crate) mod otlp;
pub(crate) mod process;
pub(crate) mod prometheus;
mod since;
pub(crate) mod successes;
mod tally;
pub(crate) mod tokens;
pub mod trace;
mod unready;
pub(crate) mod values;
pub(crate) mod write_hold;

pub(crate) use self::{
    catalogue::Metrics, metric::Constants, metrics::together, observer::Observer, tally::Tally,
};
