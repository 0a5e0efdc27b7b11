//! Worlds of contacts: a table that people change, messages of it that are lost, and passes that find what is missing.

mod contacts;
mod ledger;
mod state;

mod ending;
mod life;
mod pass;
mod reading;

pub(super) use self::state::TableWorld;
pub use self::{ending::simulate_table, ledger::TableReport};
