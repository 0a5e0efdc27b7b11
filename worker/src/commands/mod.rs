//! One file per subcommand: the only places that build concrete parts.

mod body;
mod consent;
mod each;
mod fitting;
pub(crate) mod global;
mod probes;
mod queues;
mod runtime;
mod screen;
mod terminal;
mod waiting;

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dataverse;
pub(crate) mod dead_letters;
pub(crate) mod decode;
pub(crate) mod explain;
pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod held;
pub(crate) mod map;
pub(crate) mod notify;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod reconcile;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod support_bundle;
pub(crate) mod targets;
pub(crate) mod wiring;

#[cfg(test)]
mod tests;

pub(crate) use terminal::{
    fitted, json_line, json_text, print, print_error, print_on, print_usage, print_words,
};

/// Version, commit and machine.
pub(crate) const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("CONTACTSYNC_COMMIT"),
    ", ",
    env!("CONTACTSYNC_TARGET"),
    ")"
);
