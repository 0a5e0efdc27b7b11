//! The document at `/status.json`, for both ends: a worker writes it, the page and `contactsync status` read it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use servicebus::QueueCounts;

use super::history::{History, Rates, STEP, Sample};
use crate::telemetry::{
    Metrics, Observer,
    health::{Check, HealthFault, Phase, WriteHold},
    labels::{Ended, Warning},
};

/// What a worker tells about itself. Members that are missing or new do no harm: worker and reader may be of different
/// versions. Times are written as RFC 3339 has them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StatusPage {
    /// Which of several targets this is about; empty where there is one without a name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Version of the worker.
    pub version: String,
    /// Where its messages come from.
    pub queue: String,
    /// When it started.
    pub started: String,
    /// When this was written.
    pub now: String,
    /// Shortest name of how things are.
    pub state: String,
    /// Whether it can work.
    pub ready: bool,
    /// What it is among other replicas: alone, standby, entering, writer or doubting.
    pub role: String,
    /// What has to be well for that.
    pub checks: Vec<CheckStatus>,
    /// What must be seen to, though it works.
    pub warnings: Vec<CheckStatus>,
    /// By how much its clock is ahead of each service's, `None` while unknown.
    pub clock_skew_seconds: BTreeMap<String, Option<f64>>,
    /// What happened a second, over the last minute.
    pub rates: Rates,
    /// Messages received since it started, as all counts below.
    pub received: u64,
    /// When it last received one.
    pub last_received: Option<String>,
    /// Messages by how they ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Messages that needed no write, by reason.
    pub needless: BTreeMap<String, u64>,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<String, u64>,
    /// Calls to Graph.
    pub writes: Writes,
    /// Writes under way.
    pub in_flight: f64,
    /// Messages held under lock.
    pub held: f64,
    /// Users to whom a write is owed.
    pub lanes_waiting: f64,
    /// Locks lost.
    pub locks_lost: u64,
    /// How much is in the queue as a whole, `None` while it is unknown.
    pub queue_now: Option<QueueCounts>,
    /// The last hour.
    pub history: HistoryStatus,
}

/// Something that a worker checks or warns of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct CheckStatus {
    /// What.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong.
    pub says: Option<String>,
    /// What to do.
    pub remedy: Option<String>,
}

/// Calls to Graph that write, and how many are allowed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Writes {
    /// All of them.
    pub calls: u64,
    /// Those answered with 429.
    pub throttled_calls: u64,
    /// Writes that Graph accepted.
    pub accepted: u64,
    /// Changes in those.
    pub changes: f64,
    /// Time in which writes waited because Graph had asked for it.
    pub throttled_seconds: f64,
    /// Share of the budget that is allowed at present.
    pub budget_ratio: f64,
    /// Writes a second that are allowed at present.
    pub budget_per_second: f64,
}

/// One entry for each sample, oldest first; `None` where nothing was known.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HistoryStatus {
    /// Time between two samples.
    pub step_seconds: u64,
    /// How old each is.
    pub age_seconds: Vec<u64>,
    /// Messages in the queue.
    pub active: Vec<Option<u64>>,
    /// Messages in its dead-letter queue.
    pub dead_letter: Vec<Option<u64>>,
    /// Messages settled up to then.
    pub settled: Vec<u64>,
    /// Calls that write up to then.
    pub writes: Vec<u64>,
}

impl StatusPage {
    /// How things are now.
    pub(super) fn of(observer: &Observer, history: &History, now: Timestamp) -> Self {
        let (metrics, health) = (&observer.metrics, &observer.health);
        let constants = metrics.constants();
        let checks: Vec<_> = health.checks().into_iter().map(CheckStatus::from).collect();
        let sample = Sample::of(metrics);
        Self {
            target: constants.target.as_deref().unwrap_or_default().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queue: constants.destination.to_string(),
            started: format!("{:.0}", constants.started),
            now: format!("{now:.0}"),
            state: state(observer, &checks).to_owned(),
            ready: checks.iter().all(|check| check.ok),
            role: health.role().as_str().to_owned(),
            checks,
            warnings: health.warnings().into_iter().map(CheckStatus::from).collect(),
            clock_skew_seconds: metrics
                .clock_skew
                .iter()
                .map(|(service, skew)| (service.as_str().to_owned(), skew.get()))
                .collect(),
            rates: history.rates(&sample),
            received: sample.received,
            last_received: observer.last_received().map(|time| time.to_string()),
            outcomes: ended(metrics, |ended| Some(ended.outcome)),
            needless: ended(metrics, |ended| (ended.outcome == "unchanged").then_some(ended.reason)),
            dead_letters: ended(metrics, |ended| (ended.outcome == "dead_lettered").then_some(ended.reason)),
            writes: writes(observer, &sample),
            in_flight: metrics.in_flight.get(),
            held: metrics.held_messages.get(),
            lanes_waiting: metrics.lanes_waiting.get(),
            locks_lost: metrics.locks_lost.get(),
            queue_now: *metrics.queue.borrow(),
            history: history_status(history, &sample),
        }
    }
}

impl From<Check> for CheckStatus {
    fn from(check: Check) -> Self {
        let ok = check.fault.is_none();
        let (says, remedy) = check.fault.map(|fault| (fault.text, fault.remedy.to_owned())).unzip();
        Self { name: check.name.to_owned(), ok, says, remedy }
    }
}

impl From<(Warning, HealthFault)> for CheckStatus {
    fn from((warning, fault): (Warning, HealthFault)) -> Self {
        let (says, remedy) = (Some(fault.text), Some(fault.remedy.to_owned()));
        Self { name: warning.as_str().to_owned(), ok: false, says, remedy }
    }
}

fn state(observer: &Observer, checks: &[CheckStatus]) -> &'static str {
    let failed = |name| checks.iter().any(|check| check.name == name && !check.ok);
    match observer.health.phase() {
        Phase::Starting => "starting",
        Phase::Draining => "draining",
        Phase::Running if failed("intake") || failed("breaker") => observer.health.current_gate().as_str(),
        Phase::Running if failed("link") => "link_unknown",
        Phase::Running if failed("lease") => "lease_unknown",
        Phase::Running if failed("broker") => "broker_away",
        Phase::Running if failed("token") => "no_token",
        Phase::Running => match observer.health.current_gate() {
            WriteHold::NotWriter => observer.health.role().as_str(),
            gate => gate.as_str(),
        },
    }
}

/// Messages by a name of how they ended, without those names that none has.
fn ended(metrics: &Metrics, name: impl Fn(Ended) -> Option<&'static str>) -> BTreeMap<String, u64> {
    let counts = metrics.messages_by(name).into_iter().filter(|(_, count)| *count > 0);
    counts.map(|(name, count)| (name.to_owned(), count)).collect()
}

fn writes(observer: &Observer, sample: &Sample) -> Writes {
    let metrics = &observer.metrics;
    let throttled = metrics.graph_writes.iter().filter(|(answer, _)| answer.status_text() == "429");
    Writes {
        calls: sample.writes,
        throttled_calls: throttled.map(|(_, count)| count.get()).sum(),
        accepted: metrics.changes_per_write.count(),
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
        active: samples.iter().map(|sample| sample.queue.active).collect(),
        dead_letter: samples.iter().map(|sample| sample.queue.dead_letter).collect(),
        settled: samples.iter().map(|sample| sample.settled).collect(),
        writes: samples.iter().map(|sample| sample.writes).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::observer::tests::observer;

    #[test]
    fn what_a_worker_writes_is_what_a_reader_reads() {
        let observer = observer();
        observer.received();
        let known = QueueCounts {
            active: Some(3),
            oldest_age: Some(std::time::Duration::from_millis(6_700)),
            ..QueueCounts::default()
        };
        observer.metrics.queue.send_replace(Some(known));
        let page = StatusPage::of(&observer, &History::new(&observer.metrics), Timestamp::UNIX_EPOCH);
        let written = json!(page);
        let read: StatusPage = serde_json::from_value(written.clone()).expect("our own document");
        assert_eq!(json!(read), written);
        // Scripts know these names.
        let queue = json!({
            "active": 3, "deadLetter": null, "scheduled": null, "transfer": null, "sizeBytes": null,
            "oldestAgeSeconds": 6, "lowerBound": false,
        });
        assert_eq!((&written["queueNow"], &written["now"]), (&queue, &json!("1970-01-01T00:00:00Z")));
        let names: Vec<_> = written.as_object().into_iter().flat_map(|members| members.keys()).collect();
        let expected = "checks clockSkewSeconds deadLetters held history inFlight lanesWaiting lastReceived locksLost needless \
                        now outcomes queue queueNow rates ready received role started state version warnings writes";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(written["rates"]["received"], Value::from(0.0));
    }
}
