//! What has to stand in Dataverse so that changes of contacts come to the queue: an endpoint, its steps, their images.
//!
//! [`Desired`] follows from the settings, [`Found`] is what is there. [`compare`] holds one against the other and is the one
//! list of rules: each [`Difference`] says what is wrong, what to do, and what would put it right. `verify` tells the
//! differences, [`Plan`] puts their repairs into an order that can stop anywhere and be run again.

mod compare;
mod desired;
mod difference;
mod found;
mod key;
mod plan;
mod role;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    compare::compare,
    desired::{Desired, Hook, Undesirable},
    difference::{Difference, DifferenceKind},
    found::{ColumnRow, EndpointRow, Found, HookCatalog, ImageRow, StepRow},
    key::{KeyProblem, SendKey},
    plan::{Deed, Plan, PlanOptions, Refusal, Removal, RowRef, RowSet, Slot, Verb, removal},
    role::{ROLES, RolePurpose, missing},
};
