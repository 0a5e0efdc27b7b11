//! What a decision is about, and whether somebody agrees to it.

use std::io::{self, IsTerminal};

use anyhow::{Context, ensure};
use servicebus::Queue;

use crate::{
    commands::terminal::print_aside,
    envelope::HeldCensus,
    operate::held::{HeldFilter, each_held},
    settings::{QueueAlone, Settings},
};

/// What is held aside and meant. Fails if a decision is about everything and nobody has said so.
pub(super) async fn meant(
    queue: &dyn Queue,
    settings: &Settings<QueueAlone>,
    filter: &HeldFilter,
    all: bool,
) -> anyhow::Result<HeldCensus> {
    ensure!(
        filter.is_selective() || all,
        "say which messages are meant, for example by --by; --all means all that are held aside"
    );
    let mut census = HeldCensus::default();
    each_held(queue, filter, &settings.planner, |message, held| {
        census.add(message, held);
        Ok(())
    })
    .await
    .context("the queue cannot be looked at")?;
    Ok(census)
}

/// Whether a person says yes; `None` if there is nobody to ask.
pub(super) async fn agrees(question: &str) -> anyhow::Result<Option<bool>> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(None);
    }
    print_aside(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = tokio::task::spawn_blocking(move || io::stdin().read_line(&mut answer).map(|_| answer));
    let answer = read.await.context("nobody could be asked")?.context("standard input cannot be read")?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
