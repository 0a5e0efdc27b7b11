//! `contactsync run`: one replica of the worker pool.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use tokio::sync::watch;

use super::wiring;
use crate::{
    cli::Cli,
    config::Settings,
    pipeline::{Pipeline, Policy},
    telemetry::logging,
};

/// Runs until SIGTERM or SIGINT, then finishes what is under way.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let settings = cli.settings()?;
    logging::start(&settings.telemetry)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?
        .block_on(work(settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(settings: Settings) -> anyhow::Result<()> {
    let clients = wiring::clients(&settings.graph)?;
    let queue = Arc::new(wiring::queue(&settings, &clients)?);
    let directory = Arc::new(wiring::directory(&settings, clients));
    tracing::info!(
        queue.name = &*settings.bus.source.address(),
        concurrency = settings.pool.concurrency,
        "contactsync {} takes messages",
        env!("CARGO_PKG_VERSION"),
    );
    let tally = Pipeline::new(queue, directory, Policy::of(&settings)).run(stop_signal()?).await;
    tracing::info!("stopped: {tally}");
    Ok(())
}

/// Turns true on the first SIGTERM or SIGINT; a second one ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = Signals::new()?;
    tokio::spawn(async move {
        terminate.next().await;
        tracing::info!("stopping: finishing what is under way; a second signal ends at once");
        stop.send_replace(true);
        terminate.next().await;
        tracing::warn!("ended at once by a second signal; unsettled messages will be delivered again");
        std::process::exit(130);
    });
    Ok(stopped)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
