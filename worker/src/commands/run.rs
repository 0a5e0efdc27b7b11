//! `contactsync run`: one replica of the worker pool.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use tokio::sync::watch;

use crate::{
    bus::{
        EntraSource, TokenSource,
        amqp::{self, AmqpQueue},
    },
    cli::Cli,
    clock,
    config::{self, Access, Settings},
    graph::{self, GraphClient},
    http_client,
    identity::{Clients, EntraTokens},
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
    let clients = clients(&settings.graph)?;
    let queue = Arc::new(queue(&settings, &clients)?);
    let directory = Arc::new(directory(&settings, clients));
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

fn queue(settings: &Settings, clients: &Clients) -> anyhow::Result<AmqpQueue> {
    let bus = &settings.bus;
    let tokens: Arc<dyn TokenSource> = match &bus.access {
        Access::Shared(credential) => credential.source(),
        Access::Entra { identity, audience } => {
            // Microsoft's clients ask with two slashes here: the resource itself ends with one.
            let resource = format!("{audience}/");
            let tokens = EntraTokens::new((**identity).clone(), clients.clone(), &resource, clock::now);
            Arc::new(EntraSource::new(Arc::new(tokens)))
        }
    };
    let mut amqp = amqp::Settings::new(bus.endpoint.clone(), tokens, &bus.source.address(), clock::now);
    amqp.target = bus.source.target().into();
    amqp.way = bus.way.clone();
    AmqpQueue::open(&amqp, settings.graph.ca_file.as_deref()).context("the queue cannot be opened")
}

fn directory(settings: &Settings, clients: Clients) -> GraphClient {
    let graph = &settings.graph;
    let options = graph::Options {
        root: graph.root.clone(),
        reading: graph.reading.clone(),
        priority: graph::Priority::Normal,
    };
    let (http, resource) = (clients.http.clone(), graph.root.as_str().trim_end_matches('/'));
    let tokens = EntraTokens::new(settings.identity.clone(), clients, resource, clock::now);
    GraphClient::new(http, Arc::new(tokens), &options)
}

fn clients(graph: &config::Graph) -> anyhow::Result<Clients> {
    let timeouts = http_client::Timeouts { connect: graph.connect_timeout, request: graph.request_timeout };
    let ca_file = graph.ca_file.as_deref();
    Ok(Clients {
        http: http_client::build(timeouts, ca_file)?,
        direct: http_client::build_direct(timeouts, ca_file)?,
    })
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
