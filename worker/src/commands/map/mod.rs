//! `contactsync map`: whether the mapping makes of captured bodies what it should.

mod expectation;
mod test;

use std::process::ExitCode;

use crate::commands::global::Global;

/// The subcommands of `map`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Hold captured bodies against the writes that are expected of them; for continuous integration.
    Test(test::Args),
}

/// Does what the subcommand says.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Test(args) => test::run(global, args),
    }
}
