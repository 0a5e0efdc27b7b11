//! What a worker counts, logs and traces, and whether it is well.
//!
//! [`catalogue`] declares every [`metric`] in a row, from which follows all that is kept of it in [`values`] by [`labels`].
//! They leave as text for [`prometheus`] and by [`otlp`], with the spans of [`trace`]. [`observer`] takes in what the pipeline reports.

pub mod catalogue;
mod clocks;
pub mod health;
pub mod labels;
pub mod logging;
pub mod metric;
mod metrics;
pub mod observer;
pub mod otlp;
pub mod process;
pub mod prometheus;
mod tally;
pub mod tokens;
pub mod trace;
pub mod values;

pub use self::{catalogue::Metrics, metric::Constants, observer::Observer, tally::Tally};
