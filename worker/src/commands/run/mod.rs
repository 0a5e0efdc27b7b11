//! `contactsync run`: one replica of the worker pool.

pub(super) mod preview;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, ensure};
use servicebus::{LinkState, MessagingSystem, Queue, admin, clock};
use tokio::{net::TcpListener, sync::watch};

use super::{
    runtime::{runtime, stop_signal},
    wiring::{self, QueueSettings},
};
use crate::{
    commands::global::Global,
    identity::Clients,
    operate::backlog::{self, PollInterval, Reader, SampleLimits},
    run::{LeaseSeat, Pipeline, PipelineOptions, epoch::Epoch, start_lease},
    settings::Settings,
    status_page,
    telemetry::{Constants, Observer, Tally, logging, otlp::Export, trace::Tracer},
};

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync run                              until SIGTERM or Ctrl-C
  contactsync run --dry-run --once             what would be done with the messages that wait now
  contactsync run --dry-run --online --json    follow new messages, and compare with Graph

Exit codes: 0 stopped when told to (a dry run also if it saw messages that would be dead letters), 1 failed, 78 bad \
settings.")]
pub struct Args {
    /// Print what would be done with each message, without doing it. Messages are peeked at and not received, so
    /// it can run beside production. Prints names of properties, no values.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    preview: preview::Args,
}

/// Runs until SIGTERM or SIGINT, then finishes what is under way.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let settings = global.settings()?;
    logging::start(&settings.telemetry)?;
    for outdated in &settings.outdated {
        tracing::warn!("{outdated}");
    }
    let runtime = runtime()?;
    if args.dry_run {
        runtime.block_on(preview::run(settings, &args.preview))?;
    } else {
        runtime.block_on(work(settings))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn work(settings: Settings) -> anyhow::Result<()> {
    let listener = match settings.http.listen {
        Some(address) => Some(status_page::bind(address)?),
        None => None,
    };
    let clients = wiring::clients_of_replica(&settings)?;
    let way = wiring::queue_settings(&settings, &clients);
    let (queue, lease) = wiring::queue_and_lease(&way, &settings).context("the queue cannot be opened")?;
    let system = queue.system();
    let otlp = settings.telemetry.otlp.as_ref();
    let (tracer, spans) = otlp.map(|otlp| Tracer::new(otlp.trace_ratio, system)).unzip();
    let observer = observer(&settings, system, queue.state(), tracer).with_times(Arc::clone(&clients.times));
    let observer = Arc::new(observer);
    let export = otlp
        .zip(spans)
        .map(|(otlp, spans)| Export::start(clients.http.clone(), otlp, Arc::clone(&observer), spans));
    read_queue(&settings, &clients, &way, &*queue, &observer);
    let lease = lease.map(|options| start_lease(options, Epoch::begin(), Arc::clone(&observer)));
    let (directory, tokens) = wiring::observed_directory(&settings, clients, &observer);
    let directory = directory.fenced(lease.as_ref().map(LeaseSeat::may_write));
    let probes = settings.engine.gate.probe;
    tokio::spawn(async move { tokens.warm_up(probes).await });
    tracing::info!(
        queue.name = &*settings.bus.source.address(),
        concurrency = settings.engine.lanes.concurrency,
        "contactsync {} takes messages",
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(listener) = listener {
        show(listener, &observer)?;
    }
    let (policy, stopped) = (PipelineOptions::of(&settings), stop_signal()?);
    let pipeline = Pipeline::new(queue, Arc::new(directory), policy, Arc::clone(&observer), lease);
    pipeline.run(stopped.clone()).await;
    if let Some(export) = export {
        export.finish().await;
    }
    tracing::info!("stopped: {}", Tally(&observer.metrics));
    // Only a fault of our own closes the queue for us; whoever started the worker starts it again.
    ensure!(
        *stopped.borrow(),
        "the connection to the queue failed inside contactsync; nothing is lost; report it with the log"
    );
    Ok(())
}

/// Keeps reading how much is in the queue, over the connection that messages come by.
fn read_queue(
    settings: &Settings,
    clients: &Clients,
    way: &QueueSettings,
    queue: &dyn Queue,
    observer: &Arc<Observer>,
) {
    let interval = settings.telemetry.queue_interval;
    if interval.is_zero() {
        return;
    }
    let admin = wiring::admin_beside(way, &settings.bus, clients);
    tokio::spawn(admin::get_acquainted(Arc::clone(&admin)));
    let (queue, dead_letters) = (queue.browser(), queue.dead_letter_browser());
    let reader = Reader::new(admin, queue, dead_letters, SampleLimits::GAUGES, clock::now);
    let (observer, role) = (Arc::clone(observer), Arc::clone(observer));
    let reads = move || role.health.role().is_first();
    tokio::spawn(backlog::poll(reader, PollInterval::new(interval), reads, move |reading| {
        observer.metrics.queue.send_replace(reading);
    }));
}

fn observer(
    settings: &Settings,
    system: MessagingSystem,
    link: watch::Receiver<LinkState>,
    tracer: Option<Tracer>,
) -> Observer {
    let root = &settings.graph.root;
    let constants = Constants {
        system,
        destination: settings.bus.source.address(),
        server: root.host_str().unwrap_or_default().into(),
        port: root.port_or_known_default().unwrap_or_default(),
        started: clock::now(),
    };
    let writes_per_second = settings.engine.pace.rate();
    let observer = Observer::new(constants, link, writes_per_second);
    match tracer {
        Some(tracer) => observer.with_tracer(tracer),
        None => observer,
    }
}

/// Shows health, metrics and status to whoever asks, as long as the process lives.
fn show(listener: TcpListener, observer: &Arc<Observer>) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the address of http.listen is unknown")?;
    tracing::info!(http.address = %address, "health, metrics and status are at http://{address}/");
    tokio::spawn(status_page::serve(listener, Arc::clone(observer)));
    Ok(())
}
