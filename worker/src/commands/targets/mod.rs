//! `contactsync targets`: the directories of the settings beside each other.

mod compare;
mod report;

use std::process::ExitCode;

use crate::commands::global::Global;

/// What to do with the directories.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Compare the users of two directories: how many agree, differ or are missing.
    Compare(compare::Args),
}

/// Does it.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Compare(args) => compare::run(global, args),
    }
}
