//! What a worker shows at `http.listen`: health, metrics, and a page for people with the JSON behind it.
//!
//! [`http`] answers and [`door`] decides who is let in. [`section`] is what is told of one target. [`status`] is the document at `/status.json`, made of what
//! [`crate::telemetry`] counts and of the last hour in [`history`].

mod door;
mod history;
mod http;
mod section;
pub(crate) mod status;

pub(crate) use self::{
    http::{bind, serve},
    status::{DriftStatus, StatusPage},
};
