//! `cargo run -p tests --bin monitoring`: a real Prometheus scrapes a real worker, and every query of dashboard and
//! alerts is put to it. Needs the programs `prometheus` and `promtool`.

use std::{collections::BTreeSet, io::Write, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use emulator::faults::{Action, Point, Rule, Wrong};
use serde_json::Value;
use servicebus::{Outgoing, Queue};
use tests::{
    binary::workspace,
    client::http_client,
    observed::{Metrics, Observed, get},
    organization::{self, Organization},
    scenario::{Mix, Posting, Scenario},
    world::{Options, World},
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    task::JoinSet,
    time::{Instant, sleep},
};
use worker::telemetry::catalogue;

const PATIENCE: Duration = Duration::from_mins(1);
const RULES: &str = "deploy/prometheus/contactsync.rules.yaml";
const DASHBOARD: &str = "deploy/grafana/contactsync.json";

/// Queries that may find nothing on a good day, because they leave out what is 0, or divide by it.
const MAY_BE_EMPTY: [&str; 1] = ["> 0"];

#[tokio::main]
async fn main() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let _traffic = trickle(&world).await?;
    // Some metrics are there only where what they tell of is on.
    let organization = Organization::start(&world).await?;
    let settings = [
        "[telemetry]\nqueue_interval = \"1s\"\n[reconcile]\ninterval = \"1s\"\nsettle = \"0s\"\nshare = 1.0\n",
        &organization::settings(&world, &organization.dataverse),
    ];
    let ends = [("CONTACTSYNC__IDENTITY__CLIENT_SECRET_ENDS", "2099-01-01")];
    let worker = world.start_worker_with(&world.settings(&settings.concat())?, &ends)?;
    let observed = Observed::of(&worker).await?;
    let prometheus = Prometheus::start(world.folder(), observed.address())?;
    let seen = |page: &Metrics| page.messages("dead_letter").is_some_and(|dead| dead > 0.0);
    check_page(&observed.until("dead letters are counted", seen).await?.0).await?;
    prometheus.until("the worker is scraped", "contactsync_queue_messages", |found| found > 0).await?;
    // Before the first call to Graph there is none to tell of.
    let calls = "http_client_request_duration_seconds_bucket";
    prometheus.until("calls to Graph are scraped", calls, |found| found > 0).await?;
    prometheus.until("a pass is scraped", "contactsync_drift_users", |found| found > 0).await?;
    let metrics = names(&prometheus).await?;
    let queries = queries(&prometheus).await?;
    throttled(&world, &prometheus).await?;
    writeln!(
        std::io::stdout().lock(),
        "Prometheus has scraped a worker: {metrics} metrics are there, {queries} queries of the dashboard and all \
         alerts work, and while the service throttles the gauges are gone and no alert about the queue is near.",
    )?;
    worker.stop().await?;
    Ok(())
}

/// Messages of all kinds, one after the other, for longer than the rest takes: rates need something that happens.
async fn trickle(world: &World) -> Result<JoinSet<()>> {
    let many = Scenario::mixed(Mix { users: 200, changes: 20_000, ..Mix::DEMO }, 1);
    world.add_users(&many)?;
    let sender = world.sender()?;
    // A dead letter to begin with.
    sender.send(Outgoing { body: "nobody can read this".into(), ..Outgoing::default() }).await?;
    let mut traffic = JoinSet::new();
    traffic.spawn(async move {
        for Posting { body, content_type } in many.postings {
            let body = body.into();
            let message = Outgoing { content_type: Some(content_type.into()), body, ..Outgoing::default() };
            // An error means that the world has ended.
            if sender.send(message).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    Ok(traffic)
}

/// What promtool thinks of the page.
async fn check_page(page: &str) -> Result<()> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool cannot be started; it comes with Debian's package prometheus")?;
    promtool.stdin.take().context("piped")?.write_all(page.as_bytes()).await?;
    let output = promtool.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "promtool check metrics: {said}");
    Ok(())
}

/// Every metric of the catalogue is there, with the parts of histograms.
async fn names(prometheus: &Prometheus) -> Result<usize> {
    let answer = prometheus.ask("/api/v1/label/__name__/values", &[]).await?;
    let found: BTreeSet<_> = answer.as_array().context("a list")?.iter().filter_map(Value::as_str).collect();
    for metric in catalogue::ALL {
        let name = match metric.kind {
            catalogue::MetricKind::Histogram(_) => format!("{}_bucket", metric.name),
            catalogue::MetricKind::Counter | catalogue::MetricKind::Gauge => metric.name.to_owned(),
        };
        ensure!(found.contains(&*name), "Prometheus has not found {name}");
    }
    Ok(catalogue::ALL.len())
}

/// Every query of the dashboard is understood, and finds something.
async fn queries(prometheus: &Prometheus) -> Result<usize> {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(workspace().join(DASHBOARD))?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut count = 0;
    for query in targets.filter_map(|target| target["expr"].as_str()) {
        let asked = query
            .replace("$__rate_interval", "30s")
            .replace("$job", "contactsync")
            .replace("$instance", ".*")
            .replace("$target", ".*");
        let quiet = MAY_BE_EMPTY.iter().any(|part| query.contains(part));
        prometheus.until(&format!("an answer to {query}"), &asked, |found| found > 0 || quiet).await?;
        count += 1;
    }
    Ok(count)
}

/// While the service throttles, the gauges are gone and no alert about the queue is even pending.
async fn throttled(world: &World, prometheus: &Prometheus) -> Result<()> {
    world.bus.faults().add(Rule::new(Point::Admin, Action::Http(Wrong::Status(429))).times(u32::MAX));
    prometheus.until("unknown counts", "contactsync_queue_counts_up == 0", |found| found == 1).await?;
    for gauge in ["contactsync_queue_messages", "contactsync_queue_oldest_message_age_seconds"] {
        prometheus.until("the gauges are gone", gauge, |found| found == 0).await?;
    }
    let alerts = prometheus.ask("/api/v1/alerts", &[]).await?;
    let near = alerts["alerts"].as_array().context("a list")?;
    let near: Vec<_> = near.iter().filter_map(|alert| alert["labels"]["alertname"].as_str()).collect();
    let about_the_queue = ["DeadLettersGrowing", "Backlog", "Oldest", "NothingArrives"];
    let wrong: Vec<_> =
        near.iter().filter(|name| about_the_queue.iter().any(|part| name.contains(part))).collect();
    ensure!(wrong.is_empty(), "these alerts are near although nothing is known: {wrong:?}");
    Ok(())
}

/// A running Prometheus. It is killed when this is dropped.
struct Prometheus {
    client: reqwest::Client,
    base: String,
    _child: Child,
}

impl Prometheus {
    /// Starts it with our rules and one worker to scrape, every second.
    fn start(folder: &Path, target: &str) -> Result<Self> {
        let rules = workspace().join(RULES);
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files:\n  - {}\nscrape_configs:\n  \
             - job_name: contactsync\n    static_configs:\n      - targets: [\"{target}\"]\n",
            rules.display()
        );
        std::fs::write(&config, text)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = std::fs::File::create(folder.join("prometheus.log"))?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("prometheus cannot be started; it is Debian's package prometheus")?;
        Ok(Self { client: http_client()?, base: format!("http://127.0.0.1:{port}"), _child: child })
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), parameters)?;
        let (_, text) = get(&self.client, url).await?;
        let mut answer: Value = serde_json::from_str(&text)?;
        if answer["status"] != "success" {
            bail!("Prometheus refuses: {}", answer["error"]);
        }
        Ok(answer["data"].take())
    }

    /// Polls until the number of series that a query finds fulfils a condition.
    async fn until(&self, what: &str, query: &str, holds: impl Fn(usize) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = match self.ask("/api/v1/query", &[("query", query)]).await {
                Ok(answer) => {
                    // What cannot be computed, as 0 divided by 0, is as good as nothing.
                    let series = answer["result"].as_array().context("series")?;
                    let found = series.iter().filter(|series| series["value"][1] != "NaN").count();
                    if holds(found) {
                        return Ok(());
                    }
                    format!("{found} series")
                }
                Err(error) => format!("{error:#}"),
            };
            ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; last seen: {seen}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
