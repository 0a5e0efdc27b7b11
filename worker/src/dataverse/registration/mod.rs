//! What has to stand in Dataverse so that changes of contacts come to the queue: an endpoint, its steps, their images.
//!
//! [`Desired`] follows from the settings, [`Found`] is what is there. [`compare`] holds one against the other and is the one
//! list of rules: each [`Deviation`] says what is wrong, what to do, and what would put it right. `verify` tells the
//! deviations, [`Plan`] puts their repairs into an order that can stop anywhere and be run again.

mod carry_out;
mod compare;
mod desired;
mod deviation;
mod found;
mod key;
mod plan;
mod read;
mod role;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    carry_out::{Done, Unfinished, carry_out},
    compare::compare,
    desired::Desired,
    deviation::{Deviation, DeviationKind},
    found::Found,
    key::{KeyProblem, SendKey},
    plan::{Deed, Plan, PlanOptions, Refusal, Removal, removal},
    read::{privileges, read},
    role::{ROLES, RolePurpose, missing},
};
