//! Contacts held against users: both sides are read page by page, what may differ is looked at, and what differs is posted
//! to the queue as a change of its contact. So the one writer applies it, with its lease, lanes, mark and budget, behind all
//! that is happening now; nothing here writes to Graph.
//!
//! [`columns`] reads rows, [`sides`] both sides, [`plan`] finds the differences, [`message`] makes a change of one, and
//! [`posting`] posts them no faster than they are consumed. [`file`] keeps what a run that was killed had posted.

mod columns;
mod error;
mod file;
mod message;
mod plan;
mod posting;
mod privileges;
mod sides;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    columns::RowReader,
    error::ReconcileError,
    file::StateFile,
    plan::{DriftFinding, DriftPlan, ReconcileProgress, plan},
    posting::{PostEnd, PostEvent, PostOptions, Posted, Posting, under_way},
    privileges::ContactAccess,
    sides::Sides,
};
