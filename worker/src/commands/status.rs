//! `contactsync status`: how much is in the queue, and how a worker fares.

use std::{
    io::{IsTerminal, stdout},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use servicebus::clock;
use tokio::{
    runtime::Runtime,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use url::Url;

use super::{
    json_line, json_text, print, print_on, runtime::stop_signal, terminal::print_report, waiting::patiently,
    wiring,
};
use crate::{
    commands::global::Global,
    duration,
    identity::Clients,
    operate::{
        backlog::{BacklogReading, PollInterval, Reader, SampleLimits},
        status::{
            Snapshot, WorkerSource, json,
            live::{self, Feed},
            text,
        },
    },
    settings::{Bus, Needs, QueueAlone, Settings, check, without_credentials},
};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Refresh continuously: a live view on a terminal, one line per reading elsewhere. Ends with q or Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Print JSON, one object a line. What is unknown is null, never 0.
    #[arg(long)]
    json: bool,
    /// Where a worker shows its status, for rates and write budget. Without this, the address in http.listen.
    #[arg(long, value_name = "URL")]
    worker: Option<Url>,
    /// Time between two readings with --watch. Each costs the service a call of its management interface.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = interval)]
    every: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(span) if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&span) => Ok(span),
        _ => Err("must be a duration from 1s to 1h, such as 5s or 1m".to_owned()),
    }
}

/// Shows it once, or until somebody has enough.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let settings = global.settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let scout = runtime.block_on(async { Scout::new(settings, args) })?;
    let code = match (args.watch, args.json) {
        (false, _) => once(&runtime, &scout, args.json),
        (true, false) if stdout().is_terminal() => view(&runtime, scout, args.every),
        (true, _) => runtime.block_on(lines(&scout, args)),
    };
    // A look that is under way is not waited for.
    runtime.shutdown_background();
    code
}

/// Whoever finds out how things are.
struct Scout {
    bus: Bus,
    queue: String,
    reader: Reader,
    worker: Result<WorkerSource, String>,
}

impl Scout {
    fn new(settings: Settings<QueueAlone>, args: &Args) -> anyhow::Result<Self> {
        let clients = wiring::clients(&settings.connection)?;
        let bus = &settings.bus;
        let queue = wiring::queue_without_intake(&wiring::queue_settings(&settings, &clients))?;
        let reader = Reader::new(
            wiring::admin(bus, &clients),
            queue.browser(),
            queue.dead_letter_browser(),
            SampleLimits::PERSON,
            clock::now,
        )
        .looking_at(check::EntityUse::intake(bus));
        let (queue, worker) = (bus.to_string(), worker(&settings, args.worker.as_ref(), clients)?);
        Ok(Self { bus: settings.bus, queue, reader, worker })
    }

    async fn look(&self) -> Snapshot {
        let worker = async {
            match &self.worker {
                Ok(source) => source.ask().await,
                Err(why) => Err(why.clone()),
            }
        };
        let (reading, worker) = tokio::join!(self.reader.read(), worker);
        let worker_url =
            self.worker.as_ref().ok().map(|source| without_credentials(source.url().as_str()).into_owned());
        let cautions = check::cautions(&self.bus, self.reader.properties().as_ref());
        Snapshot { queue: self.queue.clone(), reading, cautions, worker, worker_url }
    }
}

/// Where a worker can be asked: at the address that somebody named, or where one with these settings listens.
pub(super) fn worker<N: Needs>(
    settings: &Settings<N>,
    named: Option<&Url>,
    clients: Clients,
) -> anyhow::Result<Result<WorkerSource, String>> {
    let target = settings.target.as_ref();
    if let Some(url) = named {
        if !matches!(url.scheme(), "http" | "https") {
            let url = without_credentials(url.as_str());
            bail!("--worker {url} is not an address that starts with http:// or https://");
        }
        return Ok(Ok(WorkerSource::new(clients, url, target)));
    }
    let listen =
        settings.entries.get("http.listen").and_then(|entry| entry.value.as_str()).unwrap_or_default();
    let Ok(mut address) = listen.parse::<SocketAddr>() else {
        return Ok(Err("http.listen names no address; name a worker by --worker URL".to_owned()));
    };
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    let url = Url::parse(&format!("http://{address}/")).context("http.listen is no address")?;
    Ok(Ok(WorkerSource::new(clients, &url, target)))
}

fn once(runtime: &Runtime, scout: &Scout, as_json: bool) -> anyhow::Result<ExitCode> {
    let snapshot = runtime.block_on(patiently(&scout.queue, scout.look()));
    if as_json {
        print(&json_text(&json::of(&snapshot)))?;
    } else {
        print_report(&text::table(&snapshot))?;
    }
    Ok(exit_code(&snapshot.reading))
}

/// A script that asks how much is in the queue must not take silence for an answer.
fn exit_code(reading: &BacklogReading) -> ExitCode {
    if reading.counts.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Line by line, until the reader goes away or a signal comes.
async fn lines(scout: &Scout, args: &Args) -> anyhow::Result<ExitCode> {
    let mut stop = stop_signal()?;
    let mut pace = PollInterval::new(args.every);
    loop {
        let due = Instant::now() + args.every;
        let snapshot = tokio::select! {
            snapshot = scout.look() => snapshot,
            _ = stop.changed() => return Ok(ExitCode::SUCCESS),
        };
        let line = if args.json { json_line(&json::of(&snapshot)) } else { text::line(&snapshot) };
        if !print_on(&line)? {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            () = sleep_until(due) => sleep(extra(&mut pace, &snapshot.reading, args.every)).await,
            _ = stop.changed() => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// What a service that throttles gets on top of the time between two readings.
fn extra(pace: &mut PollInterval, reading: &BacklogReading, every: Duration) -> Duration {
    if reading.counts.is_ok() { Duration::ZERO } else { pace.after(reading, 0.5).saturating_sub(every) }
}

/// The live view on this thread, with the readings behind it.
fn view(runtime: &Runtime, scout: Scout, every: Duration) -> anyhow::Result<ExitCode> {
    let stop = runtime.block_on(async { stop_signal() })?;
    let (sender, snapshots) = watch::channel(None);
    runtime.spawn(async move {
        let mut pace = PollInterval::new(every);
        loop {
            let due = Instant::now() + every;
            let snapshot = scout.look().await;
            let more = extra(&mut pace, &snapshot.reading, every);
            if sender.send(Some(snapshot)).is_err() {
                return;
            }
            sleep_until(due + more).await;
        }
    });
    live::run(Feed { snapshots, stop, every }).context("the terminal cannot be used")?;
    Ok(ExitCode::SUCCESS)
}
