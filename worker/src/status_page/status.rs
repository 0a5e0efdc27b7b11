//! The document at `/status.json`, for both ends: a worker writes it, the page and `contactsync status` read it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use servicebus::QueueCounts;

use super::history::{History, Rates, STEP, Sample};
use crate::telemetry::{
    Metrics, Observer,
    drift::DriftKnowledge,
    health::{Check, Phase, Warned},
    held_aside::HeldAsideReport,
    labels::{Dependency, Ended, Labels},
    last_error::LastError,
    letters::LetterCensus,
    write_hold::WriteHold,
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
    /// Whether somebody should look: `green`, `amber` for soon and `red` for now.
    pub level: String,
    /// Until when writes are held back, where that is known.
    pub held_until: Option<String>,
    /// The failures of writes that were heard of last.
    pub last_error: Option<LastErrorStatus>,
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
    /// The dead letters of the whole queue, as far as somebody has looked; `None` while nobody has.
    pub dead_letters_now: Option<LettersStatus>,
    /// The runbook, as people reach it.
    pub runbook: Option<String>,
    /// Seconds since what it works with was last seen to work, `None` if it never was.
    pub since_success_seconds: BTreeMap<String, Option<u64>>,
    /// Calls to Graph.
    pub writes: Writes,
    /// Writes under way.
    pub in_flight: f64,
    /// Messages held under lock.
    pub held: f64,
    /// What is held aside in the queue because one author changes too many users alike.
    #[serde(rename = "heldAside")]
    pub held_aside: HeldAsideReport,
    /// Users to whom a write is owed.
    pub lanes_waiting: f64,
    /// Locks lost.
    pub locks_lost: u64,
    /// Who differs from the row of his contact, as far as somebody looks here; `None` where nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
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
    /// Since when, as far as this worker has seen.
    pub since: Option<String>,
    /// When it is tried again, where that is known.
    pub next_try: Option<String>,
}

/// Failures of one kind in a row.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LastErrorStatus {
    /// What Graph answered, if it did.
    pub status: Option<u16>,
    /// Graph's code.
    pub code: Option<String>,
    /// What happened.
    pub says: String,
    /// How often in a row.
    pub count: u64,
    /// When it happened first.
    pub since: String,
    /// When it happened last.
    pub at: String,
    /// Whether a write has succeeded since.
    pub over: bool,
}

/// Dead letters by reason.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LettersStatus {
    /// When it was looked.
    pub at: String,
    /// How many of each reason that were seen.
    pub reasons: BTreeMap<String, u64>,
    /// Whether there are more that were not looked at.
    pub more: bool,
}

/// What passes over contacts and users have found.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DriftStatus {
    /// Differences by cause; none before the first pass.
    pub causes: BTreeMap<String, u64>,
    /// Differences of rows that were changed so lately that they may be on their way.
    pub waiting: u64,
    /// When the last pass ended.
    pub looked: Option<String>,
    /// When the last one over everything ended.
    pub looked_at_all: Option<String>,
    /// How long the last one took.
    pub took_seconds: f64,
    /// Why the latest one has not come to its end, if so.
    pub failure: Option<String>,
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
        let checks: Vec<_> = health.checks(now).into_iter().map(CheckStatus::from).collect();
        let warnings: Vec<_> = health.warnings(now).into_iter().map(CheckStatus::from).collect();
        let sample = Sample::of(metrics);
        let (state, queue_now) = (state(observer, &checks), *metrics.queue.borrow());
        let looks = !warnings.is_empty() || queue_now.and_then(|counts| counts.dead_letter).unwrap_or(0) > 0;
        Self {
            target: constants.target.as_deref().unwrap_or_default().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            queue: constants.destination.to_string(),
            started: format!("{:.0}", constants.started),
            now: format!("{now:.0}"),
            state: state.to_owned(),
            level: level(state, looks).to_owned(),
            held_until: health.held_until().map(|until| format!("{until:.0}")),
            last_error: health.last_error().map(LastErrorStatus::from),
            ready: checks.iter().all(|check| check.ok),
            role: health.role().as_str().to_owned(),
            checks,
            warnings,
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
            held_aside: observer.held_aside_now(),
            lanes_waiting: metrics.lanes_waiting.get(),
            locks_lost: metrics.locks_lost.get(),
            drift: observer.drift.now().map(DriftStatus::from),
            queue_now,
            dead_letters_now: metrics.letters.borrow().as_ref().map(LettersStatus::from),
            runbook: observer.runbook.as_deref().map(str::to_owned),
            since_success_seconds: Dependency::all()
                .into_iter()
                .map(|one| (one.as_str().to_owned(), metrics.successes.ago(one).map(|ago| ago.as_secs())))
                .collect(),
            history: history_status(history, &sample),
        }
    }
}

impl From<DriftKnowledge> for DriftStatus {
    fn from(known: DriftKnowledge) -> Self {
        let DriftKnowledge { last, full, failure } = known;
        let looked_at_all = full.map(|full| format!("{full:.0}"));
        let Some(last) = last else { return Self { looked_at_all, failure, ..Self::default() } };
        let causes = last.causes().into_iter().map(|(cause, count)| (cause.as_str().to_owned(), count));
        Self {
            causes: causes.collect(),
            waiting: last.totals.waiting,
            looked: Some(format!("{:.0}", last.at)),
            looked_at_all,
            took_seconds: last.took.as_secs_f64(),
            failure,
        }
    }
}

impl DriftStatus {
    /// How many users differ.
    pub(crate) fn users(&self) -> u64 {
        self.causes.values().sum()
    }
}

impl From<Check> for CheckStatus {
    fn from(check: Check) -> Self {
        let ok = check.fault.is_none();
        let (says, remedy) = check.fault.map(|fault| (fault.text, fault.remedy.to_owned())).unzip();
        let name = check.name.to_owned();
        Self { name, ok, says, remedy, since: time(check.since), next_try: time(check.next_try) }
    }
}

impl From<Warned> for CheckStatus {
    fn from(warned: Warned) -> Self {
        let (says, remedy) = (Some(warned.fault.text), Some(warned.fault.remedy.to_owned()));
        let name = warned.warning.as_str().to_owned();
        Self { name, ok: false, says, remedy, since: time(warned.since), next_try: time(warned.next_try) }
    }
}

impl From<LastError> for LastErrorStatus {
    fn from(last: LastError) -> Self {
        let LastError { status, code, text, count, since, at, over } = last;
        let (since, at) = (format!("{since:.0}"), format!("{at:.0}"));
        Self { status, code: code.map(String::from), says: text.into(), count, since, at, over }
    }
}

impl From<&LetterCensus> for LettersStatus {
    fn from(census: &LetterCensus) -> Self {
        let reasons = census.reasons.iter().map(|(reason, count)| (reason.to_string(), *count));
        Self { at: format!("{:.0}", census.at), reasons: reasons.collect(), more: census.more }
    }
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| format!("{time:.0}"))
}

/// Whether somebody should look, and how soon.
fn level(state: &str, looks: bool) -> &'static str {
    match state {
        "paused" | "breaker_open" | "link_unknown" | "lease_unknown" | "broker_away" | "no_token" => "red",
        // These are well by themselves.
        "open" | "alone" | "writer" | "standby" if !looks => "green",
        _ => "amber",
    }
}

fn state(observer: &Observer, checks: &[CheckStatus]) -> &'static str {
    let failed = |name| checks.iter().any(|check| check.name == name && !check.ok);
    let is_held = matches!(
        observer.health.current_gate(),
        WriteHold::Paused | WriteHold::Trial | WriteHold::BreakerOpen
    );
    match observer.health.phase() {
        Phase::Starting => "starting",
        Phase::Draining => "draining",
        Phase::Running if is_held => observer.health.current_gate().as_str(),
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
        let expected = "checks clockSkewSeconds deadLetters deadLettersNow held heldAside heldUntil history inFlight lanesWaiting \
                        lastError lastReceived level locksLost needless now outcomes queue queueNow rates ready received role \
                        runbook sinceSuccessSeconds started state version warnings writes";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(written["rates"]["received"], Value::from(0.0));
    }

    #[test]
    fn who_should_look_is_told_by_three_levels() {
        for (state, looks, expected) in [
            ("open", false, "green"),
            ("standby", false, "green"),
            ("open", true, "amber"),
            ("throttled", false, "amber"),
            ("starting", false, "amber"),
            ("paused", true, "red"),
            ("no_token", false, "red"),
        ] {
            assert_eq!(level(state, looks), expected, "{state} {looks}");
        }
    }
}
