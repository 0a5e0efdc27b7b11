//! Everything that the status page shows, as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Observer, QueueReading,
    health::{Check, Fault, Phase},
    history::{History, Rates, STEP, Sample},
    labels::{Ended, Warning},
};

/// What is shown.
#[derive(Debug, Serialize)]
pub struct Status<'a> {
    version: &'static str,
    queue: &'a str,
    started: String,
    now: String,
    /// Shortest name of how things are.
    state: &'static str,
    ready: bool,
    checks: Vec<CheckStatus>,
    /// What must be seen to, though the worker works.
    warnings: Vec<CheckStatus>,
    /// By how much our clock is ahead of each service's, `null` while unknown.
    clock_skew_seconds: BTreeMap<&'static str, Option<f64>>,
    rates: Rates,
    received: u64,
    outcomes: BTreeMap<&'static str, u64>,
    needless: BTreeMap<&'static str, u64>,
    dead_letters: BTreeMap<&'static str, u64>,
    writes: Writes,
    in_flight: f64,
    held: f64,
    lanes_waiting: f64,
    locks_lost: u64,
    /// What is known of the queue as a whole, `null` while it is unknown.
    queue_now: Option<QueueStatus>,
    history: HistoryStatus,
}

#[derive(Debug, Serialize)]
struct CheckStatus {
    name: &'static str,
    ok: bool,
    says: Option<String>,
    remedy: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Writes {
    calls: u64,
    throttled_calls: u64,
    accepted: u64,
    changes: f64,
    throttled_seconds: f64,
    budget_ratio: f64,
    budget_per_second: f64,
}

#[derive(Debug, Serialize)]
struct QueueStatus {
    active: Option<u64>,
    dead_letter: Option<u64>,
    scheduled: Option<u64>,
    transfer: Option<u64>,
    size_bytes: Option<u64>,
    oldest_age_seconds: Option<u64>,
    lower_bound: bool,
}

/// One entry for each sample, oldest first; `null` where nothing was known.
#[derive(Debug, Serialize)]
struct HistoryStatus {
    step_seconds: u64,
    age_seconds: Vec<u64>,
    active: Vec<Option<u64>>,
    dead_letter: Vec<Option<u64>>,
    settled: Vec<u64>,
    writes: Vec<u64>,
}

impl<'a> Status<'a> {
    /// How things are now.
    #[must_use]
    pub fn of(observer: &'a Observer, history: &History, now: Timestamp) -> Self {
        let (metrics, health) = (&observer.metrics, &observer.health);
        let constants = metrics.constants();
        let checks: Vec<_> = health.checks().into_iter().map(CheckStatus::from).collect();
        let sample = Sample::of(metrics);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            queue: &constants.destination,
            started: format!("{:.0}", constants.started),
            now: format!("{now:.0}"),
            state: state(observer, &checks),
            ready: checks.iter().all(|check| check.ok),
            checks,
            warnings: health.warnings().into_iter().map(CheckStatus::from).collect(),
            clock_skew_seconds: metrics
                .clock_skew
                .iter()
                .map(|(service, skew)| (service.as_str(), skew.get()))
                .collect(),
            rates: history.rates(&sample),
            received: sample.received,
            outcomes: counts(observer, |ended| Some(ended.outcome)),
            needless: counts(observer, |ended| (ended.outcome == "unchanged").then_some(ended.reason)),
            dead_letters: counts(observer, |ended| {
                (ended.outcome == "dead_lettered").then_some(ended.reason)
            }),
            writes: writes(observer, &sample),
            in_flight: metrics.in_flight.get(),
            held: metrics.held_messages.get(),
            lanes_waiting: metrics.lanes_waiting.get(),
            locks_lost: metrics.locks_lost.get(),
            queue_now: metrics.queue.borrow().map(QueueStatus::from),
            history: history_status(history, &sample),
        }
    }
}

impl From<Check> for CheckStatus {
    fn from(check: Check) -> Self {
        let ok = check.fault.is_none();
        let (says, remedy) = check.fault.map(|fault| (fault.text, fault.remedy)).unzip();
        Self { name: check.name, ok, says, remedy }
    }
}

impl From<(Warning, Fault)> for CheckStatus {
    fn from((warning, fault): (Warning, Fault)) -> Self {
        Self { name: warning.as_str(), ok: false, says: Some(fault.text), remedy: Some(fault.remedy) }
    }
}

impl From<QueueReading> for QueueStatus {
    fn from(reading: QueueReading) -> Self {
        Self {
            active: reading.active,
            dead_letter: reading.dead_letters,
            scheduled: reading.scheduled,
            transfer: reading.transfer,
            size_bytes: reading.size,
            oldest_age_seconds: reading.oldest_age.map(|age| age.as_secs()),
            lower_bound: reading.lower_bound,
        }
    }
}

fn state(observer: &Observer, checks: &[CheckStatus]) -> &'static str {
    let failed = |name| checks.iter().any(|check| check.name == name && !check.ok);
    match observer.health.phase() {
        Phase::Starting => "starting",
        Phase::Draining => "draining",
        Phase::Running if failed("intake") || failed("breaker") => observer.health.current_gate().as_str(),
        Phase::Running if failed("link") => "link_unknown",
        Phase::Running if failed("broker") => "broker_away",
        Phase::Running if failed("token") => "no_token",
        Phase::Running => observer.health.current_gate().as_str(),
    }
}

/// Counts above zero, by a name of how messages ended.
fn counts(observer: &Observer, name: impl Fn(Ended) -> Option<&'static str>) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for (ended, count) in observer.metrics.messages.iter() {
        if let (Some(name), 1..) = (name(ended), count.get()) {
            *counts.entry(name).or_default() += count.get();
        }
    }
    counts
}

fn writes(observer: &Observer, sample: &Sample) -> Writes {
    let metrics = &observer.metrics;
    let throttled = metrics.graph_writes.iter().filter(|(answer, _)| answer.status_text() == "429");
    Writes {
        calls: sample.writes,
        throttled_calls: throttled.map(|(_, count)| count.get()).sum(),
        accepted: metrics.changes_per_write.counts().iter().sum(),
        changes: metrics.changes_per_write.sum(),
        throttled_seconds: metrics.graph_throttled.get(),
        budget_ratio: metrics.write_budget.get(),
        budget_per_second: metrics.write_budget.get() * observer.writes_per_second(),
    }
}

fn history_status(history: &History, now: &Sample) -> HistoryStatus {
    let samples = history.all();
    HistoryStatus {
        step_seconds: STEP.as_secs(),
        age_seconds: samples.iter().map(|sample| (now.at - sample.at).as_secs()).collect(),
        active: samples.iter().map(|sample| sample.active).collect(),
        dead_letter: samples.iter().map(|sample| sample.dead_letters).collect(),
        settled: samples.iter().map(|sample| sample.settled).collect(),
        writes: samples.iter().map(|sample| sample.writes).collect(),
    }
}
