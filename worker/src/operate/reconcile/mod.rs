//! Contacts held against users: both sides are read page by page, what may differ is looked at, and what differs is posted
//! to the queue as a change of its contact. So the one writer applies it, with its lease, lanes, mark and budget, behind all
//! that is happening now; nothing here writes to Graph.
//!
//! [`columns`] reads rows, [`sides`] both sides no faster than [`toll`] lets it, [`pairs`] pairs them, [`plan`] finds the
//! differences, [`message`] makes a change of one, and [`posting`] posts them no faster than they are consumed, as [`repair`]
//! tells it. [`file`] keeps where reading goes on, and what a run that was killed had posted. [`background`] does all of this
//! beside a worker, again and again.

mod background;
mod columns;
mod error;
mod file;
mod message;
mod opened;
mod pairs;
mod plan;
mod posting;
mod privileges;
mod repair;
mod sides;
#[cfg(test)]
mod tests;
mod toll;

pub(crate) use self::{
    background::keep_watch,
    columns::RowReader,
    error::ReconcileError,
    file::StateFile,
    opened::{Asked, OpenedSides},
    pairs::{ContactsRead, ReconcileProgress},
    plan::{DriftFinding, DriftPlan, PassOptions, plan},
    posting::{PostEnd, PostEvent, PostOptions, Posted},
    privileges::ContactAccess,
    repair::{RepairQueues, RepairRun, stopped},
    sides::Sides,
    toll::Toll,
};
