//! What the pipeline tells about itself: one call for each thing that happens, which never waits.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::Timestamp;
use servicebus::{LinkState, Message, clock, times::Times};
use shared::{gate::State, outcome::Outcome};
use tokio::{sync::watch, time::Instant};
use tracing::Level;

use crate::journal::Journal;

use super::{
    beginning::Beginning,
    catalogue::Metrics,
    clocks::Clocks,
    drift::{DriftLook, DriftPass},
    health::{Health, Phase},
    held_aside::{HeldAsideReport, LatestReport},
    labels::{
        Dependency, Ended, ErrorType, Labels, PauseCause, ReplicaRole, Signal, Warning, Worked,
        WrittenProperty,
    },
    last_error::FailedCall,
    metric::Constants,
    trace::{MessageTrace, Tracer},
    unready::UnreadyLog,
    values::Counter,
    write_hold::WriteHold,
};

/// Lines a second about how messages ended, as many as somebody can read. Dead letters and other warnings are always
/// logged.
const LOG_LINES: u64 = 20;

/// What one write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Changes merged into it.
    pub changes: usize,
    /// Whether Graph accepted it; not if it failed or was not needed.
    pub accepted: bool,
    /// How long it took.
    pub took: Duration,
}

/// How one message was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SettlementReport<'o> {
    /// How it ended; `None` if its settlement did not reach the queue.
    pub outcome: Option<&'o Outcome>,
    /// Since its original reached the queue.
    pub age: Duration,
    /// Since we received it.
    pub held: Duration,
    /// For the settlement itself.
    pub took: Duration,
}

/// What the pipeline holds and may do at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// What holds writes back.
    pub state: State,
    /// How long it will do so, or until the next try, where that is known.
    pub waits: Option<Duration>,
    /// Writes under way.
    pub in_flight: usize,
    /// Messages held.
    pub held: usize,
    /// Those of them that wait for the row of their contact.
    pub reading: usize,
    /// Users to whom a write is owed.
    pub lanes: usize,
    /// Writes per second allowed.
    pub rate: f64,
    /// How often row versions were seen to have gone back, since the start.
    pub went_back: u64,
    /// How many times of changes were cut because they lay in the future, since the start.
    pub times_cut: u64,
}

/// Takes in what happens, and gives it to metrics, health and logs.
#[derive(Debug)]
pub(crate) struct Observer {
    /// The counts.
    pub metrics: Metrics,
    /// The health.
    pub health: Health,
    /// Whether the services have let the worker in.
    pub beginning: Beginning,
    /// The traces, if they are exported.
    pub tracer: Option<Arc<Tracer>>,
    /// The journal, if one is kept.
    pub journal: Option<Journal>,
    audit: bool,
    /// What is known of the clocks of the services.
    pub times: Arc<Times>,
    /// What is known of users who differ from the rows of their contacts.
    pub drift: DriftLook,
    clocks: Clocks,
    writes_per_second: f64,
    log: LogBudget,
    held_aside: LatestReport,
    unready: UnreadyLog,
    /// The runbook, as people reach it.
    pub runbook: Option<Box<str>>,
    /// Since when Graph has asked for time, as far as that was counted.
    throttled: Mutex<Option<Instant>>,
    /// When a message was last received, in seconds since 1970; 0 for never.
    last_received: AtomicI64,
}

impl Observer {
    /// An observer of a pipeline that has not begun.
    #[must_use]
    pub(crate) fn new(
        constants: Constants,
        link: watch::Receiver<LinkState>,
        writes_per_second: f64,
    ) -> Self {
        Self {
            metrics: Metrics::new(constants),
            health: Health::new(link),
            beginning: Beginning::default(),
            tracer: None,
            journal: None,
            audit: false,
            times: Arc::default(),
            drift: DriftLook::default(),
            clocks: Clocks::default(),
            writes_per_second,
            log: LogBudget::new(LOG_LINES),
            held_aside: LatestReport::default(),
            unready: UnreadyLog::default(),
            runbook: None,
            throttled: Mutex::default(),
            last_received: AtomicI64::default(),
        }
    }

    /// The same with traces.
    #[must_use]
    pub(crate) fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer: Some(Arc::new(tracer)), ..self }
    }

    /// The same where every write is told in the log, if that is wanted.
    #[must_use]
    pub(crate) fn with_audit(self, audit: bool) -> Self {
        Self { audit, ..self }
    }

    /// Whether every write is told in the log.
    #[must_use]
    pub(crate) fn audits(&self) -> bool {
        self.audit
    }

    /// The same with a journal.
    #[must_use]
    pub(crate) fn with_journal(self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// The same with the address of the runbook.
    #[must_use]
    pub(crate) fn with_runbook(self, runbook: Option<Box<str>>) -> Self {
        Self { runbook, ..self }
    }

    /// The same with what the rest of the process learns of clocks.
    #[must_use]
    pub(crate) fn with_times(self, times: Arc<Times>) -> Self {
        Self { times, ..self }
    }

    /// Brings up to date what is only looked at when somebody reads the metrics.
    pub(crate) fn refresh(&self) {
        if let Some(tracer) = &self.tracer {
            self.metrics.telemetry_lost.of(Signal::Traces).add(tracer.take_lost());
        }
        self.refresh_journal();
        let switch = |on| if on { 1.0 } else { 0.0 };
        if self.health.link_is_up() {
            self.metrics.successes.note(Dependency::ServiceBus);
        }
        for dependency in Dependency::all() {
            let ago = self.metrics.successes.ago(dependency).map(|ago| ago.as_secs_f64());
            self.metrics.since_success.of(dependency).set(ago);
        }
        self.metrics.broker_up.set(switch(self.health.link_is_up()));
        let is_ready = self.health.checks(clock::now()).iter().all(|check| check.fault.is_none());
        self.metrics.ready.set(switch(is_ready));
        let warnings = self.health.warnings(clock::now());
        for kind in Warning::all() {
            self.metrics.warning.of(kind).set(switch(warnings.iter().any(|warned| warned.warning == kind)));
        }
    }

    /// Begins to trace a message, if that is on and the message is chosen.
    #[must_use]
    pub(crate) fn trace(&self, message: &Message, received: Timestamp) -> Option<Box<MessageTrace>> {
        self.tracer.as_ref()?.begin(message, received)
    }

    /// Writes a second that the settings allow.
    #[must_use]
    pub(crate) fn writes_per_second(&self) -> f64 {
        self.writes_per_second
    }

    /// The pipeline has a turn.
    pub(crate) fn turn(&self, phase: Phase, load: &Load, now: Instant) {
        self.health.beat(phase, now);
        self.log.tell(&self.metrics, now);
        self.look_at_journal(now);
        self.clocks.look(&self.times, &self.metrics, &self.health, now);
        let metrics = &self.metrics;
        metrics.in_flight.set_count(load.in_flight);
        metrics.held_messages.set_count(load.held);
        metrics.row_waiting.set_count(load.reading);
        metrics.lanes_waiting.set_count(load.lanes);
        metrics.write_budget.set(load.rate / self.writes_per_second);
        self.count_versions(load, now);
        let gate = WriteHold::from(load.state);
        self.count_throttling(gate, now);
        let wall = clock::now();
        let until = load.waits.and_then(|wait| wall.checked_add(wait).ok());
        let cause = self.health.gate(gate, until);
        if self.unready.is_due(now) {
            self.unready.look(&self.health.checks(wall), phase, (now, wall));
        }
        for member in PauseCause::all() {
            metrics.intake_paused.of(member).set(f64::from(u8::from(cause == Some(member))));
        }
        metrics.intake_paused.of(PauseCause::Link).set(f64::from(u8::from(self.health.link_is_unknown())));
        metrics.breaker_state.set(f64::from(u8::from(gate == WriteHold::BreakerOpen)));
    }

    /// What this replica is among others, as of now.
    pub(crate) fn role(&self, role: ReplicaRole) {
        self.health.take_role(role);
        if !role.is_first() {
            // The next writer tells it; two that differ would mislead.
            self.metrics.queue.send_if_modified(|counts| counts.take().is_some());
        }
        for member in ReplicaRole::all() {
            self.metrics.replica_role.of(member).set(f64::from(u8::from(member == role)));
        }
    }

    /// A message was received.
    pub(crate) fn received(&self) {
        self.metrics.consumed.add(1);
        self.metrics.successes.note(Dependency::ServiceBus);
        self.last_received.store(clock::now().as_second(), Relaxed);
    }

    /// When a message was last received.
    pub(crate) fn last_received(&self) -> Option<Timestamp> {
        let second = self.last_received.load(Relaxed);
        (second != 0).then(|| Timestamp::from_second(second).ok()).flatten()
    }

    /// A write ended.
    pub(crate) fn written(&self, written: Written) {
        self.metrics.apply_duration.record_time(written.took);
        if written.accepted {
            self.health.succeeded();
            #[expect(clippy::cast_precision_loss, reason = "no write carries that many changes")]
            self.metrics.changes_per_write.record(written.changes as f64);
        }
    }

    /// The installation is at fault.
    pub(crate) fn at_fault(&self, cause: PauseCause, text: &str) {
        self.health.at_fault(cause, text);
    }

    /// A write failed; why is told until another one succeeds.
    pub(crate) fn failing(&self, failed: &FailedCall) {
        self.health.failing(failed, clock::now());
        if failed.is_servers() {
            for property in &failed.properties {
                self.metrics.server_errors.of(WrittenProperty::from(property)).add(1);
            }
        }
    }

    /// A copy was sent to come back later, or could not be.
    pub(crate) fn sent(&self, worked: bool) {
        self.metrics.sent.of(if worked { Worked::Yes } else { Worked::No }).add(1);
    }

    /// A message was settled, or was tried to be.
    pub(crate) fn settled(&self, report: SettlementReport<'_>) {
        let SettlementReport { outcome, age, held, took } = report;
        let metrics = &self.metrics;
        metrics.messages.of(outcome.map_or(Ended::UNSETTLED, Ended::from)).add(1);
        let (reason, worked) = match outcome {
            Some(Outcome::DeadLettered(letter)) => (Some(letter.reason), Worked::Yes),
            None => (None, Worked::No),
            Some(_) => (None, Worked::Yes),
        };
        metrics.process_duration.of(ErrorType(reason)).record_time(held);
        metrics.settle_duration.of(worked).record_time(took);
        if outcome == Some(&Outcome::Applied) {
            metrics.change_to_applied.record_time(age);
        }
    }

    /// Contacts are going to be held against users.
    pub(crate) fn drift_begins(&self) {
        self.drift.begins();
    }

    /// All contacts, or those that have changed, were held against their users.
    pub(crate) fn drift_passed(&self, pass: &DriftPass) {
        self.metrics.successes.note(Dependency::Dataverse);
        self.drift.passed(pass, &self.metrics, &self.health);
    }

    /// Contacts could not be held against users.
    pub(crate) fn drift_unread(&self, why: String) {
        self.drift.unread(why, &self.health);
    }

    /// Another replica tells who differs.
    pub(crate) fn drift_is_elsewheres(&self) {
        self.drift.is_elsewheres(&self.metrics, &self.health);
    }

    /// So much is held aside from now on.
    pub(crate) fn held_aside(&self, report: HeldAsideReport) {
        self.held_aside.set(report);
    }

    /// How much is held aside.
    #[must_use]
    pub(crate) fn held_aside_now(&self) -> HeldAsideReport {
        self.held_aside.get()
    }

    /// A lock was lost.
    pub(crate) fn lock_lost(&self) {
        self.metrics.locks_lost.add(1);
    }

    /// Whether a line about an outcome may be logged; counts it as left out if not.
    pub(crate) fn may_log(&self, now: Instant) -> bool {
        let may = self.log.take(now) || tracing::enabled!(Level::DEBUG);
        if !may {
            self.metrics.log_lines_left_out.add(1);
        }
        may
    }

    /// Counts versions that could not be believed, and says so.
    fn count_versions(&self, load: &Load, now: Instant) {
        let fresh = |counter: &Counter, total: u64| {
            let fresh = total.saturating_sub(counter.get());
            counter.add(fresh);
            fresh > 0
        };
        if fresh(&self.metrics.version_resets, load.went_back) && self.may_log(now) {
            tracing::warn!(
                "row versions of the organization went back while time went on: its database was restored or copied; the \
                 later changes are applied"
            );
        }
        if fresh(&self.metrics.versions_cut, load.times_cut) && self.may_log(now) {
            tracing::warn!(
                "a change says that it happened minutes after its message reached the queue; its time was cut"
            );
        }
    }

    fn count_throttling(&self, gate: WriteHold, now: Instant) {
        let mut since = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = since.take() {
            self.metrics.graph_throttled.add(now.saturating_duration_since(counted));
        }
        *since = (gate == WriteHold::Throttled).then_some(now);
    }
}

/// Lines a second.
#[derive(Debug)]
struct LogBudget {
    started: Instant,
    lines: u64,
    /// The second that is counted, and the lines in it; kept apart because a line more or less at the turn of a
    /// second is no matter.
    second: AtomicU64,
    taken: AtomicU64,
    told: AtomicU64,
}

impl LogBudget {
    fn new(lines: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self { started: Instant::now(), lines, second: zero(), taken: zero(), told: zero() }
    }

    fn take(&self, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.started).as_secs();
        if self.second.swap(second, Relaxed) != second {
            self.taken.store(0, Relaxed);
        }
        self.taken.fetch_add(1, Relaxed) < self.lines
    }

    /// Says, about once a second, how many lines were left out.
    fn tell(&self, metrics: &Metrics, now: Instant) {
        let left_out = metrics.log_lines_left_out.get();
        let told = self.told.load(Relaxed);
        if left_out > told
            && self.second.load(Relaxed) != now.saturating_duration_since(self.started).as_secs()
        {
            self.told.store(left_out, Relaxed);
            tracing::info!(
                lines = left_out - told,
                "lines about outcomes were left out; the level debug shows all"
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::telemetry::metrics::tests::constants;

    /// An observer with a link to the queue that is up.
    pub(crate) fn observer() -> Arc<Observer> {
        Arc::new(Observer::new(constants(), watch::channel(LinkState::Ready).1, 20.0))
    }

    #[test]
    fn a_second_has_as_many_lines_as_allowed() {
        let budget = LogBudget::new(2);
        let taken = |budget: &LogBudget, at: Instant| (0..5).filter(|_| budget.take(at)).count();
        let start = budget.started;
        assert_eq!(taken(&budget, start), 2);
        assert_eq!(taken(&budget, start + Duration::from_secs(1)), 2);
        assert_eq!(taken(&LogBudget::new(0), start), 0);
    }
}
