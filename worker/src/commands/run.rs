//! `contactsync run`: one replica of the worker pool.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use tokio::sync::watch;

use crate::{
    bus::amqp::{self, AmqpQueue},
    cli::Cli,
    clock,
    config::Settings,
    graph::{self, GraphClient},
    http_client,
    identity::EntraTokens,
    logging,
    pipeline::{Pipeline, Policy},
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
    let (queue, directory) = (Arc::new(queue(&settings)?), Arc::new(directory(&settings)?));
    tracing::info!(
        queue.name = &*settings.bus.queue,
        concurrency = settings.pool.concurrency,
        "contactsync {} takes messages",
        env!("CARGO_PKG_VERSION"),
    );
    let tally = Pipeline::new(queue, directory, Policy::of(&settings)).run(stop_signal()?).await;
    tracing::info!("stopped: {tally}");
    Ok(())
}

fn queue(settings: &Settings) -> anyhow::Result<AmqpQueue> {
    let bus = &settings.bus;
    let amqp = amqp::Settings::from_connection_string(&bus.connection, &bus.queue, clock::now);
    AmqpQueue::open(&amqp, settings.graph.ca_file.as_deref()).context("the queue cannot be opened")
}

fn directory(settings: &Settings) -> anyhow::Result<GraphClient> {
    let graph = &settings.graph;
    let timeouts = http_client::Timeouts { connect: graph.connect_timeout, request: graph.request_timeout };
    let options = graph::Options {
        root: graph.root.clone(),
        reading: graph.reading.clone(),
        priority: graph::Priority::Normal,
    };
    let http = http_client::build(timeouts, graph.ca_file.as_deref())?;
    let tokens = EntraTokens::new(settings.identity.clone(), http.clone(), graph.root.as_str())?;
    Ok(GraphClient::new(http, Arc::new(tokens), &options))
}

/// Turns true on the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
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
