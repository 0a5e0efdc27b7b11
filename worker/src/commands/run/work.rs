//! One target: everything that its pipeline needs, and the pipeline itself.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use servicebus::{LinkState, MessagingSystem, Peek, Queue, admin, clock, times::Times};
use shared::reason::chain;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    super::wiring::{self, QueueSettings},
    drift,
};
use crate::{
    identity::Clients,
    journal::{self, Bounds, Entry, Journal},
    operate::backlog::{self, PollInterval, Reader, SampleLimits},
    run::{LeaseSeat, Pipeline, PipelineOptions, epoch::Epoch, start_lease},
    settings::{Settings, check::EntityUse},
    telemetry::{
        Constants, Observer, Tally,
        beginning::Gatekeeper,
        credentials::{self, Credentials},
        logging,
        otlp::Export,
        trace::{Span, Tracer},
    },
};

/// Nobody let the worker in, and only other settings can change that.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotLetIn(Box<str>);
/// Time between two looks at when credentials end.
const CREDENTIALS_EVERY: Duration = Duration::from_mins(10);

/// A target, and what is told of it. It outlives its pipeline, which may be begun anew.
pub(super) struct Work {
    /// Its settings.
    pub(super) settings: Arc<Settings>,
    /// What takes in how it fares.
    pub(super) observer: Arc<Observer>,
    /// What the observer is told of the link to the queue.
    pub(super) link: watch::Sender<LinkState>,
    spans: Option<mpsc::Receiver<Span>>,
}

impl Work {
    /// One that has not begun.
    pub(super) fn new(settings: Settings) -> Self {
        let (link, state) = watch::channel(LinkState::Connecting);
        let otlp = settings.telemetry.otlp.as_ref();
        let system = MessagingSystem::SERVICE_BUS;
        let (tracer, spans) = otlp.map(|otlp| Tracer::new(otlp.trace_ratio, system)).unzip();
        let observer = Observer::new(constants(&settings, system), state, settings.engine.pace.rate());
        let observer = match tracer {
            Some(tracer) => observer.with_tracer(tracer),
            None => observer,
        };
        let observer = match journal(&settings) {
            Some(journal) => observer.with_journal(journal),
            None => observer,
        };
        let runbook = settings.telemetry.runbook_url.as_ref().map(|url| url.as_str().into());
        let observer = observer.with_audit(settings.telemetry.audit).with_runbook(runbook);
        let observer = Arc::new(observer.with_times(Arc::<Times>::default()));
        Self { settings: Arc::new(settings), observer, link, spans }
    }

    /// Begins to export what is told of it, if that is to be. It goes on while the pipeline is begun anew.
    pub(super) fn export(&mut self, clients: &Clients) -> Option<Export> {
        let otlp = self.settings.telemetry.otlp.as_ref()?;
        Some(Export::start(clients.http.clone(), otlp, Arc::clone(&self.observer), self.spans.take()?))
    }

    /// The same, but for settings by which nobody is let in from the start: then it ends with the sentence that says so.
    pub(super) async fn run_or_give_up(&self, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut verdict = self.observer.beginning.verdict();
        let (end, ending) = watch::channel(false);
        let mut given_up = verdict.clone();
        let watching = tokio::spawn(async move {
            tokio::select! {
                // An error would mean that nobody can tell us to stop any more, which is a reason to.
                _ = stop.wait_for(|stop| *stop) => {}
                Ok(_) = given_up.wait_for(Option::is_some) => {}
            }
            end.send_replace(true);
        });
        let ended = self.run(ending).await;
        watching.abort();
        match verdict.borrow_and_update().as_deref() {
            Some(sentence) => Err(NotLetIn(sentence.into()).into()),
            None => ended,
        }
    }

    /// Takes messages until `stop` turns true, then finishes what is under way.
    pub(super) async fn run(&self, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let (settings, observer) = (&self.settings, &self.observer);
        let mut clients = wiring::clients_of_replica(settings)?;
        clients.times = Arc::clone(&observer.times);
        let way = wiring::queue_settings(settings, &clients);
        let (queue, lease) = wiring::queue_and_lease(&way, settings).context("the queue cannot be opened")?;
        tokio::spawn(pass_on(queue.state(), self.link.clone(), Arc::clone(observer)));
        read_queue(settings, &clients, &way, &*queue, observer);
        let _watching = drift::start(settings, observer);
        tokio::spawn(watch_credentials(Credentials::of(settings), Arc::clone(observer)));
        let lease = lease.map(|options| start_lease(options, Epoch::begin(), Arc::clone(observer)));
        let rows = wiring::row_source(settings, &clients);
        let (directory, tokens) = wiring::observed_directory(settings, clients, observer);
        let directory = directory.fenced(lease.as_ref().map(LeaseSeat::may_write));
        let probes = settings.engine.gate.probe;
        let identity = settings.identity.clone();
        tokio::spawn(async move { tokens.warm_up(probes, &identity).await });
        tracing::info!(
            queue.name = &*settings.bus.source.address(),
            concurrency = settings.engine.lanes.concurrency,
            "contactsync {} takes messages",
            env!("CARGO_PKG_VERSION"),
        );
        let policy = PipelineOptions::of(settings);
        let pipeline = Pipeline::new(queue, Arc::new(directory), policy, Arc::clone(observer), lease);
        pipeline.with_rows(rows).run(stop.clone()).await;
        observer.note(|| Entry::Ended);
        tracing::info!("stopped: {}", Tally(&observer.metrics));
        // Only a fault of our own closes the queue for us; whoever started the worker starts it again.
        ensure!(
            *stop.borrow(),
            "the connection to the queue failed inside contactsync; nothing is lost; report it with the log"
        );
        Ok(())
    }
}

/// The journal of a target, if one is to be kept. Where it cannot be, nothing else suffers from it.
fn journal(settings: &Settings) -> Option<Journal> {
    let kept = &settings.journal;
    let options = journal::JournalOptions {
        directory: kept.path.clone()?,
        host: wiring::hostname(),
        bounds: Bounds { bytes: kept.bytes, keep: kept.keep },
        optional: kept.optional,
        queue: settings.bus.source.address().into(),
        target: settings.target.as_ref().map(|target| target.as_str().to_owned()),
    };
    let target = settings.target.clone();
    let started = Journal::start(options, move || target.iter().for_each(logging::speak_for));
    match started {
        Ok(journal) => Some(journal),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "no journal is kept, because its thread cannot be started");
            None
        }
    }
}

/// Looks from time to time when credentials end: the file of one can be replaced while the worker runs.
async fn watch_credentials(all: Credentials, observer: Arc<Observer>) {
    loop {
        credentials::tell(&observer, &all.ends(), clock::now());
        sleep(CREDENTIALS_EVERY).await;
    }
}

/// Tells one of the link what the queue tells of it.
async fn pass_on(
    mut state: watch::Receiver<LinkState>,
    link: watch::Sender<LinkState>,
    observer: Arc<Observer>,
) {
    loop {
        let now = state.borrow_and_update().clone();
        if now == LinkState::Ready {
            observer.beginning.let_in(Gatekeeper::Queue);
        }
        link.send_replace(now);
        if state.changed().await.is_err() {
            return;
        }
    }
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
    // Counts tell when to look, so it need not be as often.
    tokio::spawn(look_at_letters(Arc::clone(&dead_letters), interval * 2, Arc::clone(observer)));
    let reader = Reader::new(admin, queue, dead_letters, SampleLimits::GAUGES, clock::now)
        .looking_at(EntityUse::intake(&settings.bus));
    let observer = Arc::clone(observer);
    tokio::spawn(async move {
        observer.beginning.past_refusals_of_the_queue().await;
        let reads = || observer.health.role().is_first();
        let show = |reading| {
            observer.metrics.queue.send_replace(reading);
        };
        backlog::poll(reader, PollInterval::new(interval), reads, show).await;
    });
}

/// Keeps looking at the dead letters of the queue.
async fn look_at_letters(dead_letters: Arc<dyn Peek>, every: Duration, observer: Arc<Observer>) {
    let counts = || *observer.metrics.queue.borrow();
    let reads = || observer.health.role().is_first();
    let show = |letters| drop(observer.metrics.letters.send_replace(letters));
    backlog::poll_letters(&*dead_letters, every, counts, reads, show).await;
}

fn constants(settings: &Settings, system: MessagingSystem) -> Constants {
    let root = &settings.graph.root;
    Constants {
        system,
        destination: settings.bus.source.address(),
        server: root.host_str().unwrap_or_default().into(),
        port: root.port_or_known_default().unwrap_or_default(),
        started: clock::now(),
        target: settings.target.as_ref().map(|target| target.as_str().into()),
    }
}
