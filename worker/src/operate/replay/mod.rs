//! Putting dead letters back: a chosen set, slowly, watched, and never so that one is lost.
//!
//! A set is fixed first, by peek. Then dead letters are received under lock ([`selective_receiver`]), each member is sent as a
//! fresh copy and completed when the service has confirmed the copy, at the pace that [`Pacing`] allows by what
//! became of those before ([`Outcomes`]). [`Run`] is the loop around them.

mod events;
mod file;
mod item;
mod options;
mod outcomes;
mod pacing;
mod run;
mod selective_receiver;
mod sending;
mod source;
#[cfg(test)]
mod tests;
mod waits;
mod watch;

pub(crate) use events::{Audit, Event, Progress, ReplayEnd, Summary};
pub(crate) use file::File;
pub(crate) use item::Item;
pub(crate) use options::{ReplayAction, ReplayOptions};
pub(crate) use outcomes::{Look, Outcomes};
pub(crate) use pacing::{Pacing, Seen, Share, Turn};
pub(crate) use run::Run;
pub(crate) use selective_receiver::{Members, SelectiveReceiver, Taken};
pub(crate) use sending::confirm;
pub(crate) use source::ReplaySource;
pub(crate) use watch::Watch;
