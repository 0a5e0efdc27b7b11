//! `contactsync held`: messages that wait for a decision, because one author changes too many users alike.

mod approve;
mod consent;
mod list;
mod reject;

use std::process::ExitCode;

use servicebus::{Queue, Walk};
use shared::ids::SequenceNumber;

use super::{
    global::Global,
    queues::{failed, start_log},
    runtime::runtime,
    waiting::patiently,
    wiring::{self, queue_settings},
};
use crate::settings::check::EntityUse;

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
        let done = match (reach(&*queue, &EntityUse::intake(&settings.bus)).await, command) {
            (Err(away), _) => Err(away),
            (Ok(()), Command::List(args)) => list::run(&*queue, &settings, args).await,
            (Ok(()), Command::Approve(args)) => approve::run(&*queue, &settings, args).await,
            (Ok(()), Command::Reject(args)) => reject::run(&*queue, &settings, args).await,
        };
        queue.close().await;
        done
    })
}

/// Whether the queue can be looked at; with what to do if it cannot.
async fn reach(queue: &dyn Queue, at: &EntityUse) -> anyhow::Result<()> {
    let mut walk = Walk::from(SequenceNumber(0));
    let looked = patiently(format_args!("service bus at {}", at.place), walk.page(queue)).await;
    looked.map(drop).map_err(|error| failed(&error, at).context("the queue cannot be looked at"))
}
