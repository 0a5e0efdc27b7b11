//! The path of a message: [`pipeline`] tells the engine what happens and does what it asks for; beside it run
//! [`settlements`], with [`delayed_retry`] for messages that come back later, and [`renewal`] of locks. [`link`] holds
//! intake back while messages do not show whom they mean; [`aside`] knows what waits for a decision; [`lease`] says which of
//! several replicas writes; [`state`] says in the log what holds writes back.

mod aside;
mod delayed_retry;
pub(crate) mod epoch;
mod intake_failures;
mod lease;
mod link;
mod now;
mod pipeline;
mod policy;
pub(crate) mod renewal;
mod settlements;
mod state;

pub(crate) use self::{
    lease::{LONGEST_CONNECT, LeaseOptions, LeaseSeat, start as start_lease},
    pipeline::Pipeline,
    policy::PipelineOptions,
};
