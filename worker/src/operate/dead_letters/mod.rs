//! Dead letters as an operator sees them: what failed and why, in groups and one by one.
//!
//! Everything here reads by peek, which locks nothing and changes nothing. [`Letter`] is what one message says about its
//! failure, [`Selection`] the filters that `list`, `export`, `purge` and `replay` share, [`DeadLetterGroups`] the groups,
//! [`record`] the form in which messages are exported.

mod census;
mod letter;
pub(crate) mod selection;

pub mod record;

pub(crate) use census::{AGES, DeadLetterGroups, Group, Key};
pub(crate) use letter::Letter;
pub(crate) use selection::{Selection, shown, span};
