//! What operators see of a worker: logs, metrics and what is made of them.
//!
//! [`catalogue`] names every metric; [`metrics`] holds the values, made of [`values`] and [`labels`]; [`text`] is
//! their form for Prometheus. [`queue_reading`] is how counts of the queue as a whole come in.

pub mod catalogue;
pub mod labels;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod queue_reading;
pub mod text;
pub mod values;

pub use self::{
    metrics::{Constants, Metrics},
    queue_reading::QueueReading,
};
