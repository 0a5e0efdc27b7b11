//! Every metric there is: name, unit, kind, labels and what it tells, where it is kept and how it is read. Nothing else
//! makes one.
//!
//! A metric is one row. The rows are the documentation, the fields of [`Metrics`], their first values and their reading;
//! `deploy/metrics.md` is written from here, and a test compares the two. A metric has two names: that of OpenTelemetry,
//! which travels by OTLP, and that of Prometheus, which stands on `/metrics`.

use std::fmt::Write;

use servicebus::QueueCounts;
use shared::plan::ReadCause;
use tokio::sync::watch;

pub use super::metric::{Metric, MetricKind};
use super::{
    drift_labels::{DriftLabel, DriftPassKind, DriftSide},
    labels::{
        Call, CallOutcome, CredentialUse, Dependency, Ended, ErrorType, LeaseChange, LeaseRenewal,
        PauseCause, ReplicaRole, Service, Signal, Warning, Worked, WrittenProperty,
    },
    letters::LetterCensus,
    metric::{Constants, MetricValue, Readings, Series, one},
    notifications::Notification,
    process,
    successes::Successes,
    values::{Counter, Family, Gauge, Histogram, Instrument, Measure, Seconds},
};

/// Seconds of something local or of one call.
const FAST: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Seconds of something that can wait: for budget, for a retry, for an outage to end.
const SLOW: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
const SIZES: &[f64] = &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0];

/// The rows under `counted` have a field, in which observers count; `by` gives one value to each member of a list of
/// labels. Those under `derived` are found out when somebody reads them. A label with a value is the same for all points.
macro_rules! catalogue {
    (
        counted { $(
            $field:ident: $form:ident $(($bounds:ident))? $(by $member:ident)?, $name:literal, $otel:literal,
            $unit:literal, [$($label:literal $(= $fixed:literal)?),*], $help:literal;
        )* }
        derived { $(
            $(#[$more:ident])? $shape:ident, $its_name:literal, $its_otel:literal, $its_unit:literal,
            [$($its_label:literal),*], $its_help:literal, $read:expr;
        )* }
    ) => {
        /// All of them, in the order in which they are shown.
        pub const ALL: &[Metric] = &[
            $(Metric {
                name: $name,
                otel_name: $otel,
                kind: catalogue!(@kind $form $($bounds)?),
                unit: $unit,
                labels: &[$($label),*],
                fixed: &[$($(($label, $fixed),)?)*],
                help: $help,
                queue_wide: false,
            },)*
            $(Metric {
                name: $its_name,
                otel_name: $its_otel,
                kind: MetricKind::$shape,
                unit: $its_unit,
                labels: &[$($its_label),*],
                fixed: &[],
                help: $its_help,
                queue_wide: catalogue!(@$($more)?),
            },)*
        ];

        /// The values of one process: counted where things happen, read by `/metrics`, by OTLP and by the status page.
        #[derive(Debug)]
        pub(crate) struct Metrics {
            pub(super) constants: Constants,
            /// How much is in the queue as a whole; `None` while that is unknown.
            pub(crate) queue: watch::Sender<Option<QueueCounts>>,
            /// The dead letters by reason; `None` while nobody has looked.
            pub(crate) letters: watch::Sender<Option<LetterCensus>>,
            /// When what it works with was last seen to work.
            pub(crate) successes: Successes,
            $(#[doc = concat!("`", $name, "`")] pub(crate) $field: catalogue!(@type $form $($member)?),)*
        }

        impl Metrics {
            /// Everything at zero.
            #[must_use]
            pub(crate) fn new(constants: Constants) -> Self {
                Self {
                    constants,
                    queue: watch::Sender::new(None),
                    letters: watch::Sender::new(None),
                    successes: Successes::default(),
                    $($field: Instrument::new(catalogue!(@kind $form $($bounds)?)),)*
                }
            }

            /// All metrics with their values now, in the order of the catalogue.
            #[must_use]
            pub(crate) fn read(&self) -> Vec<Series> {
                let derived: &[fn(&Self) -> Readings] = &[$($read),*];
                let counted = [$(self.$field.read()),*].into_iter();
                let readings = counted.chain(derived.iter().map(|read| read(self)));
                ALL.iter().zip(readings).map(|(metric, read)| metric.series(read, &self.constants)).collect()
            }
        }
    };
    (@kind Counter) => { MetricKind::Counter };
    (@kind Seconds) => { MetricKind::Counter };
    (@kind Gauge) => { MetricKind::Gauge };
    (@kind Measure) => { MetricKind::Gauge };
    (@kind Histogram $bounds:ident) => { MetricKind::Histogram($bounds) };
    (@type $form:ident) => { $form };
    (@type $form:ident $member:ident) => { Family<$member, $form> };
    (@queue_wide) => { true };
    (@) => { false };
}

catalogue! {
    counted {
        messages: Counter by Ended, "contactsync_messages_total", "contactsync.messages", "{message}",
            ["outcome", "reason"],
            "Messages by how they ended; a dead letter and a needless message carry their reason";
        changes_per_write: Histogram(SIZES), "contactsync_changes_per_write",
            "contactsync.changes_per_write", "{change}", [],
            "Changes that each accepted write carried; more is better use of the quota";
        graph_writes: Counter by CallOutcome, "contactsync_graph_writes_total", "contactsync.graph.writes", "{call}",
            ["status"],
            "Write calls to Graph by the status of the answer, or by what kept the answer away";
        graph_throttled: Seconds, "contactsync_graph_throttled_seconds_total", "contactsync.graph.throttled", "s", [],
            "Time in which writes waited because Graph had asked for it";
        write_budget: Gauge, "contactsync_write_budget_ratio", "contactsync.write_budget", "1", [],
            "Writes a second allowed now, as a share of throttle.writes_per_second; it falls on a 429";
        apply_duration: Histogram(FAST), "contactsync_apply_duration_seconds", "contactsync.apply.duration", "s", [],
            "Time of one write with everything that belongs to it: token, look, call";
        change_to_applied: Histogram(SLOW), "contactsync_change_to_applied_seconds",
            "contactsync.change_to_applied", "s", [],
            "Time from the arrival of a change in the queue to its effect in Graph, returns for later included";
        in_flight: Gauge, "contactsync_in_flight", "contactsync.in_flight", "{write}", [],
            "Writes to Graph under way";
        held_messages: Gauge, "contactsync_held_messages", "contactsync.held_messages", "{message}", [],
            "Messages held under lock that are to be written";
        lanes_waiting: Gauge, "contactsync_lanes_waiting", "contactsync.lanes_waiting", "{user}", [],
            "Users to whom a write is owed or under way";
        row_waiting: Gauge, "contactsync_row_waiting_messages", "contactsync.row.waiting_messages", "{message}", [],
            "Messages held under lock that wait for the row of their contact";
        rows_asked: Counter by ReadCause, "contactsync_rows_asked_total", "contactsync.rows.asked", "{row}", ["cause"],
            "Rows of contacts asked of Dataverse, by why their messages need them; again if they were not answered";
        row_questions: Counter by Worked, "contactsync_row_questions_total", "contactsync.row.questions", "{question}",
            ["error.type"],
            "Questions to Dataverse about rows of contacts, of at most a hundred rows each";
        locks_lost: Counter, "contactsync_locks_lost_total", "contactsync.locks_lost", "{lock}", [],
            "Locks found to be lost while their message was held; such a message comes again";
        version_resets: Counter, "contactsync_version_resets_total", "contactsync.version_resets", "{change}", [],
            "Changes whose row version is lower than one that was written clearly earlier: the database of the \
             organization was restored or copied";
        versions_cut: Counter, "contactsync_versions_cut_total", "contactsync.versions_cut", "{change}", [],
            "Changes whose time lay minutes after the arrival of their message, and was cut to it";
        server_errors: Counter by WrittenProperty, "contactsync_graph_server_errors_total",
            "contactsync.graph.server_errors", "{write}", ["property"],
            "Writes that Graph answered with a status of 500 or above, by each property that they carried; one that leads \
             is often refused for its value, as mail is when a user has used up its values";
        since_success: Measure by Dependency, "contactsync_since_last_success_seconds",
            "contactsync.since_last_success", "s", ["dependency"],
            "Time since each dependency was last seen to work; absent while it has not, or is not used";
        breaker_state: Gauge, "contactsync_breaker_state", "contactsync.breaker_state", "1", [],
            "1 while the breaker is open, because writes of many users failed in a row; else 0";
        intake_paused: Gauge by PauseCause, "contactsync_intake_paused", "contactsync.intake_paused", "1", ["cause"],
            "1 while no messages are taken because the installation is at fault, by the cause; else 0";
        warning: Gauge by Warning, "contactsync_warning", "contactsync.warning", "1", ["kind"],
            "1 while something must be seen to though the worker works, by what it is; else 0";
        replica_role: Gauge by ReplicaRole, "contactsync_replica_role", "contactsync.replica.role", "1", ["role"],
            "1 for what this replica is among others, else 0; one of them is the writer";
        lease_term: Gauge, "contactsync_lease_term", "contactsync.lease.term", "1", [],
            "Number of the term in which this replica holds the lease; 0 while it does not";
        lease_remaining: Gauge, "contactsync_lease_remaining_seconds", "contactsync.lease.remaining", "s", [],
            "Time for which this replica may start writes without another answer of Service Bus; 0 while it may not";
        lease_renewals: Counter by LeaseRenewal, "contactsync_lease_renewals_total", "contactsync.lease.renewals",
            "{renewal}", ["result"],
            "Renewals of the lease by how they ended";
        lease_changes: Counter by LeaseChange, "contactsync_lease_changes_total", "contactsync.lease.changes",
            "{change}", ["why"],
            "How often this replica got or lost the lease, by why";
        lease_takeover: Histogram(SLOW), "contactsync_lease_takeover_seconds", "contactsync.lease.takeover", "s", [],
            "Time from the grant of the lease to the first moment at which writes may start";
        lease_aborted_writes: Counter, "contactsync_lease_aborted_writes_total", "contactsync.lease.aborted_writes",
            "{write}", [],
            "Writes given up while they were under way, because the lease was lost";
        clock_skew: Measure by Service, "contactsync_clock_skew_seconds", "contactsync.clock_skew", "s", ["service"],
            "By how much the clock of this machine is ahead of that of the service, negative if it is behind; absent \
             while unknown";
        credential_ends: Measure by CredentialUse, "contactsync_credential_ends_timestamp_seconds",
            "contactsync.credential.ends", "s", ["credential"],
            "When a client secret or certificate ends, in seconds since 1970; absent where that is not known";
        notifications: Counter by Notification, "contactsync_notifications_total", "contactsync.notifications",
            "{notification}", ["kind", "result"],
            "What was to be told to people, by kind of channel and by what became of it";
        broker_up: Gauge, "contactsync_broker_up", "contactsync.broker_up", "1", [],
            "1 while the link to the queue is up; else 0";
        ready: Gauge, "contactsync_ready", "contactsync.ready", "1", [],
            "1 while /readyz says yes; else 0";
        consumed: Counter, "messaging_client_consumed_messages_total",
            "messaging.client.consumed.messages", "{message}",
            ["messaging.system", "messaging.operation.name" = "receive", "messaging.destination.name"],
            "Messages handed to the worker, redeliveries included";
        sent: Counter by Worked, "messaging_client_sent_messages_total",
            "messaging.client.sent.messages", "{message}",
            ["messaging.system", "messaging.operation.name" = "schedule", "messaging.destination.name", "error.type"],
            "Copies sent to come back later";
        mass_change_messages: Gauge, "contactsync_mass_change_messages", "contactsync.mass_change.messages", "{message}",
            [],
            "Messages held aside in the queue until somebody decides about them, as the writer knows; 0 at others";
        mass_change_streams: Gauge, "contactsync_mass_change_streams", "contactsync.mass_change.streams", "{stream}", [],
            "Streams that are held: one author, one property, blanked or rewritten";
        mass_change_peak: Gauge, "contactsync_mass_change_peak", "contactsync.mass_change.peak", "{user}", [],
            "Most users of whom one author changed one property alike within mass_change.window, since the start; no more \
             than mass_change.users once that is set";
        process_duration: Histogram(SLOW) by ErrorType, "messaging_process_duration_seconds",
            "messaging.process.duration", "s",
            ["messaging.system", "messaging.operation.name" = "process", "messaging.destination.name", "error.type"],
            "Time from receiving a message to its settlement; error.type is the reason of a dead letter";
        settle_duration: Histogram(FAST) by Worked, "messaging_client_operation_duration_seconds",
            "messaging.client.operation.duration", "s",
            ["messaging.system", "messaging.operation.name" = "settle", "messaging.destination.name", "error.type"],
            "Time of one settlement";
        http_duration: Histogram(FAST) by Call, "http_client_request_duration_seconds",
            "http.client.request.duration", "s",
            ["http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"],
            "Time of one call to Graph";
        log_lines_left_out: Counter, "contactsync_log_lines_left_out_total",
            "contactsync.log_lines_left_out", "{line}", [],
            "Lines about outcomes left out of the log because there were too many in a second";
        telemetry_lost: Counter by Signal, "contactsync_telemetry_lost_total", "contactsync.telemetry_lost", "{item}",
            ["signal"],
            "Spans, and exports of metrics, that did not reach the OTLP receiver";
        journal_lost: Counter, "contactsync_journal_lost_total", "contactsync.journal.lost", "{entry}", [],
            "Entries of the journal that were not written: its directory failed, or it could not keep up";
        drift_users: Measure by DriftLabel, "contactsync_drift_users", "contactsync.drift.users", "{user}", ["cause"],
            "Users who differ from the row of their contact, by the cause, as of the last pass; absent while unknown";
        drift_pass_time: Measure by DriftPassKind, "contactsync_drift_pass_timestamp_seconds",
            "contactsync.drift.pass.timestamp", "s", ["kind"],
            "When the last pass over contacts and users ended, in seconds since 1970; absent before the first";
        drift_pass_duration: Measure by DriftPassKind, "contactsync_drift_pass_duration_seconds",
            "contactsync.drift.pass.duration", "s", ["kind"],
            "How long the last pass over contacts and users took; absent before the first";
        drift_read: Counter by DriftSide, "contactsync_drift_read_total", "contactsync.drift.read", "{row}", ["side"],
            "Contacts and users read by passes, without users who were looked at one by one";
        drift_requests: Counter by DriftSide, "contactsync_drift_requests_total", "contactsync.drift.requests",
            "{request}", ["side"],
            "Requests of passes to Dataverse and to Graph";
        drift_posted: Counter, "contactsync_drift_posted_total", "contactsync.drift.posted", "{message}", [],
            "Changes posted to the queue because a pass found a difference";
    }
    derived {
        #[queue_wide] Gauge, "contactsync_queue_messages", "contactsync.queue.messages", "{message}", ["state"],
            "Messages in the queue; absent while unknown",
            Metrics::queue_messages;
        #[queue_wide] Gauge, "contactsync_queue_oldest_message_age_seconds",
            "contactsync.queue.oldest_message_age", "s", [],
            "Age of the oldest message that waits in the queue, 0 if none waits; absent while unknown",
            |metrics| one(metrics.queue_now().oldest_age.map(|age| MetricValue::Number(age.as_secs_f64())));
        #[queue_wide] Gauge, "contactsync_queue_size_bytes", "contactsync.queue.size", "By", [],
            "Size of the queue; absent while unknown",
            |metrics| one(metrics.queue_now().size_bytes.map(MetricValue::Count));
        #[queue_wide] Gauge, "contactsync_queue_counts_up", "contactsync.queue.counts_up", "1", [],
            "1 while the counts of the queue are known; 0 while they are not, and then the gauges above are absent",
            |metrics| one(Some(MetricValue::switch(metrics.queue.borrow().is_some())));
        #[queue_wide] Gauge, "contactsync_queue_counts_lower_bound", "contactsync.queue.counts_lower_bound", "1", [],
            "1 if the counts come from looking at a bounded number of messages, so that there may be more; else 0",
            |metrics| one(metrics.queue.borrow().map(|counts| MetricValue::switch(counts.lower_bound)));
        Gauge, "contactsync_build_info", "contactsync.build_info", "1", ["version"],
            "Always 1; the label tells the version that runs",
            |_| one(Some(MetricValue::Number(1.0)));
        Gauge, "process_start_time_seconds", "process.start_time", "s", [],
            "When the process started, in seconds since 1970",
            |metrics| one(Some(MetricValue::Number(metrics.constants.started.as_duration().as_secs_f64())));
        Gauge, "process_resident_memory_bytes", "process.memory.usage", "By", [],
            "Resident memory; absent where the system does not tell",
            |_| one(process::resident_bytes().map(MetricValue::Count));
    }
}

/// The page of the documentation about the metrics.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nWritten from `worker/src/telemetry/catalogue.rs` by a test; do not edit.\n\nThe names are those on \
         `/metrics`; by OTLP the name in the second column travels. Counters and histograms start at zero with the \
         process. Queue-wide metrics tell the same from every replica: take their maximum, never their sum. With several targets, \
         every series but those of the process has the label `target` as well.\n\n\
         | name | by OTLP | type | unit | labels | what it tells |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for metric in ALL {
        let labels: Vec<_> =
            metric.labels.iter().map(|label| format!("`{}`", label.replace('.', "_"))).collect();
        let queue = if metric.queue_wide { " (queue-wide)" } else { "" };
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            page,
            "| `{}` | `{}` | {} | `{}` | {} | {}{queue} |",
            metric.name,
            metric.otel_name,
            metric.kind.as_str(),
            metric.unit,
            labels.join(", "),
            metric.help,
        );
    }
    page
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The metric with this name on `/metrics`.
    pub(crate) fn metric(name: &str) -> &'static Metric {
        ALL.iter().find(|metric| metric.name == name).expect("a metric")
    }

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        let otel_names: BTreeSet<_> = ALL.iter().map(|metric| metric.otel_name).collect();
        assert_eq!((names.len(), otel_names.len()), (ALL.len(), ALL.len()));
        for metric in ALL {
            let name = metric.name;
            assert_eq!(name.ends_with("_total"), metric.kind == MetricKind::Counter, "{name}");
            let bare = name.trim_end_matches("_total");
            assert!(metric.unit != "s" || bare.ends_with("_seconds"), "{name}");
            assert!(metric.unit != "By" || bare.ends_with("_bytes"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(!metric.help.ends_with('.') && !metric.help.contains('|'), "{name}");
        }
    }

    #[test]
    fn bounds_rise() {
        for bounds in [FAST, SLOW, SIZES] {
            assert!(bounds.is_sorted());
        }
    }
}
