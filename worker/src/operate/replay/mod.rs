//! Putting dead letters back: a chosen set, slowly, watched, and never so that one is lost.
//!
//! A set is fixed first, by peek. Then dead letters are received under lock ([`taking`]), each member is sent as a
//! fresh copy and completed when the service has confirmed the copy, at the pace that [`Pacing`] allows by what
//! became of those before ([`Outcomes`]). [`Run`] is the loop around them.

mod file;
mod item;
mod outcomes;
mod pacing;
mod run;
mod sending;
mod supply;
mod taking;
mod tell;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use file::File;
pub(crate) use item::Item;
pub(crate) use outcomes::{Look, Outcomes};
pub(crate) use pacing::{Pacing, Seen, Share, Turn};
pub(crate) use run::{Errand, Order, Run};
pub(crate) use supply::Supply;
pub(crate) use taking::{Members, Taken, Taking};
pub(crate) use tell::{Audit, End, Event, Progress, Summary};
pub(crate) use watch::Watch;
