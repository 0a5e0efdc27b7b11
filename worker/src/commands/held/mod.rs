//! `contactsync held`: messages that wait for a decision, because one author changes too many users alike.

mod approve;
mod list;
mod reject;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, ensure};
use servicebus::Queue;

use super::{
    global::Global,
    queues::start_log,
    runtime::runtime,
    terminal::print_aside,
    wiring::{self, queue_settings},
};
use crate::{
    envelope::HeldCensus,
    operate::held::{HeldFilter, each_held},
    settings::{QueueAlone, Settings},
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
            Command::Approve(args) => approve::run(&queue, &settings, args).await,
            Command::Reject(args) => reject::run(&queue, &settings, args).await,
        };
        queue.close().await;
        done
    })
}

/// What is held aside and meant. Fails if a decision is about everything and nobody has said so.
async fn meant(
    queue: &Arc<dyn Queue>,
    settings: &Settings<QueueAlone>,
    filter: &HeldFilter,
    all: bool,
) -> anyhow::Result<HeldCensus> {
    ensure!(
        filter.is_selective() || all,
        "say which messages are meant, for example by --by; --all means all that are held aside"
    );
    let mut census = HeldCensus::default();
    each_held(&**queue, filter, &settings.planner, |message, held| {
        census.add(message, held);
        Ok(())
    })
    .await
    .context("the queue cannot be looked at")?;
    Ok(census)
}

/// Whether a person says yes; `None` if there is nobody to ask.
async fn agrees(question: &str) -> anyhow::Result<Option<bool>> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(None);
    }
    print_aside(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = tokio::task::spawn_blocking(move || io::stdin().read_line(&mut answer).map(|_| answer));
    let answer = read.await.context("nobody could be asked")?.context("standard input cannot be read")?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
