//! One file per subcommand: the only places that build concrete parts.

mod body;
pub mod global;
mod queues;
mod runtime;
mod screen;
mod terminal;

pub mod apply;
pub mod check;
pub mod completions;
pub mod config;
pub mod dead_letters;
pub mod decode;
pub mod guard;
pub mod health;
pub mod plan;
pub mod replay;
pub mod run;
pub mod send;
pub mod status;
pub mod wiring;

#[cfg(test)]
mod tests;

pub(crate) use terminal::{json_line, json_text, print, print_on};
pub use terminal::{print_error, print_usage};
