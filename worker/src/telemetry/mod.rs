//! What operators see of a worker: logs, metrics and what is made of them.
//!
//! [`catalogue`] names every metric; [`metrics`] holds the values, made of [`values`] and [`labels`]; [`text`] is
//! their form for Prometheus. [`queue_reading`] is how counts of the queue as a whole come in.

pub mod catalogue;
mod clocks;
pub mod health;
pub mod history;
pub mod http;
pub mod labels;
pub mod logging;
pub mod metrics;
pub mod observer;
pub mod otlp;
pub mod process;
pub mod queue_reading;
pub mod status;
pub mod text;
pub mod tokens;
pub mod trace;
pub mod values;

pub use self::{
    metrics::{Constants, Metrics},
    observer::Observer,
    queue_reading::QueueReading,
};
