//! `contactsync held`: messages that wait for a decision, because one author changes too many users alike.

mod approve;
mod consent;
mod list;
mod reject;

use std::process::ExitCode;

use super::{
    global::Global,
    queues::start_log,
    runtime::runtime,
    wiring::{self, queue_settings},
};

/// What to do with messages that are held aside because one author changes too many users alike (`mass_change`).
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Count what is held aside by author and property. Changes nothing.
    List(list::Args),
    /// Let messages through: they are written behind what happens now, unless newer changes are there already.
    Approve(approve::Args),
    /// Take messages out for good. Exports them to a file first.
    Reject(reject::Args),
}

/// Does it.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    let settings = global.settings()?;
    start_log(&settings.telemetry)?;
    runtime()?.block_on(async {
        let clients = wiring::clients(&settings.connection)?;
        let queue = wiring::queue_without_intake(&queue_settings(&settings, &clients))?;
        let done = match command {
            Command::List(args) => list::run(&*queue, &settings, args).await,
            Command::Approve(args) => approve::run(&*queue, &settings, args).await,
            Command::Reject(args) => reject::run(&*queue, &settings, args).await,
        };
        queue.close().await;
        done
    })
}
