//! `contactsync dead-letters`: what failed and why.

mod each;
mod export;
mod list;
mod purge;
pub(super) mod show;

use std::process::ExitCode;

pub(super) use self::export::Output;

use super::{global::Global, queues::start_log, runtime::runtime};
use crate::settings::{QueueAlone, Settings};

/// What to do with dead letters. Looking locks nothing and changes nothing.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Count dead letters by reason, Graph's error code, property of the user and age.
    List(list::Args),
    /// Show one dead letter: its contents, why it failed, and what would become of it now.
    Show(show::Args),
    /// Write dead letters to a file as JSON lines, including bodies. Bodies hold personal data.
    Export(export::Args),
    /// Delete dead letters for good. Exports them to a file first.
    Purge(purge::Args),
}

/// Does it.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    let settings: Settings<QueueAlone> = global.settings()?;
    start_log(&settings.telemetry)?;
    runtime()?.block_on(carry_out(&settings, global, command))
}

async fn carry_out(
    settings: &Settings<QueueAlone>,
    global: &Global,
    command: &Command,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list::run(settings, args).await,
        Command::Show(args) => show::run(settings, global, args).await,
        Command::Export(args) => export::run(settings, args).await,
        Command::Purge(args) => purge::run(settings, args).await,
    }
}
