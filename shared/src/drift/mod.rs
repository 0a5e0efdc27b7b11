//! Whether users are as the rows of their contacts say: what is found by reading both sides, beside the messages.
//!
//! A queue is a hint and the row is the truth: messages are cut, steps are bypassed, jobs fail, and contacts were changed
//! before anything was installed. So rows are read from Dataverse and users from Graph, and each [`TableRow`] is planned and
//! compared as if it had just been saved whole: by the same [`Planner`](crate::plan::Planner) and the same
//! [`reconcile`](crate::reconcile::reconcile) as a message. [`UserTable`] keeps no value of a user, only keyed hashes; it
//! tells which pairs cannot differ, and [`RowComparison`] judges the others by a fresh look.

mod baseline;
mod cause;
mod comparison;
mod guards;
mod hashes;
mod looked;
mod pairing;
mod row;
mod state;
#[cfg(test)]
mod tests;
mod totals;
mod users;

pub use self::{
    baseline::Baseline,
    cause::{DriftCause, Standing, TableAge},
    comparison::{FoundProperty, RowComparison, UserDifference},
    guards::{Evidence, Limit, Limits, Objection},
    looked::Looked,
    pairing::{Candidate, Paired, Pairing},
    row::{Linked, TableRow, Unlinked},
    state::{LastRun, ReconcileState, StateScope},
    totals::Totals,
    users::UserTable,
};
