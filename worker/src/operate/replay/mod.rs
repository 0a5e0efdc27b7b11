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

pub use file::File;
pub use item::Item;
pub use outcomes::{Look, Outcomes};
pub use pacing::{Pacing, Seen, Share, Turn};
pub use run::{Errand, Order, Run};
pub use supply::Supply;
pub use taking::{Members, Taken, Taking};
pub use tell::{Audit, End, Event, Progress, Summary};
pub use watch::Watch;
