//! Every metric there is: name, unit, type, labels and what it tells. Nothing else makes one.
//!
//! `deploy/metrics.md` is written from here, and a test compares the two. A metric has two names: that of
//! OpenTelemetry, which travels by OTLP, and that of Prometheus, which stands on `/metrics`.

use std::fmt::Write;

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises, from zero at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values up to each of these bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name on `/metrics`.
    pub name: &'static str,
    /// Name in OTLP.
    pub otel_name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Unit, as UCUM writes it.
    pub unit: &'static str,
    /// Names of its labels, as OpenTelemetry writes them; on `/metrics` a dot is an underscore.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
    /// Whether it is about the queue, and so the same from every replica: take the maximum, never the sum.
    pub queue_wide: bool,
}

/// Seconds of something local or of one call.
const FAST: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Seconds of something that can wait: for budget, for a retry, for an outage to end.
const SLOW: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
const SIZES: &[f64] = &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0];

macro_rules! catalogue {
    ($($(#[$more:ident])? $constant:ident: $kind:expr, $name:literal, $otel:literal, $unit:literal,
       [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: Metric = Metric {
                name: $name,
                otel_name: $otel,
                kind: $kind,
                unit: $unit,
                labels: &[$($label),*],
                help: $help,
                queue_wide: catalogue!(@ $($more)?),
            };
        )*

        /// All of them, in the order in which they are shown.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
    (@ queue_wide) => { true };
    (@) => { false };
}

catalogue! {
    MESSAGES: Kind::Counter, "contactsync_messages_total", "contactsync.messages", "{message}",
        ["outcome", "reason"],
        "Messages by how they ended; a dead letter and a needless message carry their reason";
    CHANGES_PER_WRITE: Kind::Histogram(SIZES), "contactsync_changes_per_write", "contactsync.changes_per_write",
        "{change}", [],
        "Changes that each accepted write carried; more is better use of the quota";
    GRAPH_WRITES: Kind::Counter, "contactsync_graph_writes_total", "contactsync.graph.writes", "{call}",
        ["status"],
        "Write calls to Graph by the status of the answer, or by what kept the answer away";
    GRAPH_THROTTLED: Kind::Counter, "contactsync_graph_throttled_seconds_total", "contactsync.graph.throttled",
        "s", [],
        "Time in which writes waited because Graph had asked for it";
    WRITE_BUDGET: Kind::Gauge, "contactsync_write_budget_ratio", "contactsync.write_budget", "1", [],
        "Writes a second allowed now, as a share of throttle.writes_per_second; it falls on a 429";
    APPLY_DURATION: Kind::Histogram(FAST), "contactsync_apply_duration_seconds", "contactsync.apply.duration", "s",
        [],
        "Time of one write with everything that belongs to it: token, look, call";
    CHANGE_TO_APPLIED: Kind::Histogram(SLOW), "contactsync_change_to_applied_seconds",
        "contactsync.change_to_applied", "s", [],
        "Time from the arrival of a change in the queue to its effect in Graph, returns for later included";
    IN_FLIGHT: Kind::Gauge, "contactsync_in_flight", "contactsync.in_flight", "{write}", [],
        "Writes to Graph under way";
    HELD_MESSAGES: Kind::Gauge, "contactsync_held_messages", "contactsync.held_messages", "{message}", [],
        "Messages held under lock that are to be written";
    LANES_WAITING: Kind::Gauge, "contactsync_lanes_waiting", "contactsync.lanes_waiting", "{user}", [],
        "Users to whom a write is owed or under way";
    LOCKS_LOST: Kind::Counter, "contactsync_locks_lost_total", "contactsync.locks_lost", "{lock}", [],
        "Locks found to be lost while their message was held; such a message comes again";
    VERSION_RESETS: Kind::Counter, "contactsync_version_resets_total", "contactsync.version_resets", "{change}", [],
        "Changes whose row version is lower than one that was written clearly earlier: the database of the \
         organization was restored or copied";
    VERSIONS_CUT: Kind::Counter, "contactsync_versions_cut_total", "contactsync.versions_cut", "{change}", [],
        "Changes whose time lay minutes after the arrival of their message, and was cut to it";
    BREAKER_STATE: Kind::Gauge, "contactsync_breaker_state", "contactsync.breaker_state", "1", [],
        "1 while the breaker is open, because writes of many users failed in a row; else 0";
    INTAKE_PAUSED: Kind::Gauge, "contactsync_intake_paused", "contactsync.intake_paused", "1", ["cause"],
        "1 while no messages are taken because the installation is at fault, by the cause; else 0";
    WARNING: Kind::Gauge, "contactsync_warning", "contactsync.warning", "1", ["kind"],
        "1 while something must be seen to though the worker works, by what it is; else 0";
    CLOCK_SKEW: Kind::Gauge, "contactsync_clock_skew_seconds", "contactsync.clock_skew", "s", ["service"],
        "By how much the clock of this machine is ahead of that of the service, negative if it is behind; absent while \
         unknown";
    BROKER_UP: Kind::Gauge, "contactsync_broker_up", "contactsync.broker_up", "1", [],
        "1 while the link to the queue is up; else 0";
    READY: Kind::Gauge, "contactsync_ready", "contactsync.ready", "1", [],
        "1 while /readyz says yes; else 0";
    CONSUMED: Kind::Counter, "messaging_client_consumed_messages_total", "messaging.client.consumed.messages",
        "{message}", ["messaging.system", "messaging.operation.name", "messaging.destination.name"],
        "Messages handed to the worker, redeliveries included";
    SENT: Kind::Counter, "messaging_client_sent_messages_total", "messaging.client.sent.messages", "{message}",
        ["messaging.system", "messaging.operation.name", "messaging.destination.name", "error.type"],
        "Copies sent to come back later";
    PROCESS_DURATION: Kind::Histogram(SLOW), "messaging_process_duration_seconds", "messaging.process.duration",
        "s", ["messaging.system", "messaging.operation.name", "messaging.destination.name", "error.type"],
        "Time from receiving a message to its settlement; error.type is the reason of a dead letter";
    SETTLE_DURATION: Kind::Histogram(FAST), "messaging_client_operation_duration_seconds",
        "messaging.client.operation.duration", "s",
        ["messaging.system", "messaging.operation.name", "messaging.destination.name", "error.type"],
        "Time of one settlement";
    HTTP_DURATION: Kind::Histogram(FAST), "http_client_request_duration_seconds",
        "http.client.request.duration", "s",
        ["http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"],
        "Time of one call to Graph";
    #[queue_wide] QUEUE_MESSAGES: Kind::Gauge, "contactsync_queue_messages", "contactsync.queue.messages",
        "{message}", ["state"],
        "Messages in the queue; absent while unknown";
    #[queue_wide] QUEUE_OLDEST_AGE: Kind::Gauge, "contactsync_queue_oldest_message_age_seconds",
        "contactsync.queue.oldest_message_age", "s", [],
        "Age of the oldest message that waits in the queue, 0 if none waits; absent while unknown";
    #[queue_wide] QUEUE_SIZE: Kind::Gauge, "contactsync_queue_size_bytes", "contactsync.queue.size", "By", [],
        "Size of the queue; absent while unknown";
    #[queue_wide] QUEUE_COUNTS_UP: Kind::Gauge, "contactsync_queue_counts_up", "contactsync.queue.counts_up", "1",
        [],
        "1 while the counts of the queue are known; 0 while they are not, and then the gauges above are absent";
    #[queue_wide] QUEUE_LOWER_BOUND: Kind::Gauge, "contactsync_queue_counts_lower_bound",
        "contactsync.queue.counts_lower_bound", "1", [],
        "1 if the counts come from looking at a bounded number of messages, so that there may be more; else 0";
    LOG_LINES_LEFT_OUT: Kind::Counter, "contactsync_log_lines_left_out_total", "contactsync.log_lines_left_out",
        "{line}", [],
        "Lines about outcomes left out of the log because there were too many in a second";
    TELEMETRY_LOST: Kind::Counter, "contactsync_telemetry_lost_total", "contactsync.telemetry_lost", "{item}",
        ["signal"],
        "Spans, and exports of metrics, that did not reach the OTLP receiver";
    BUILD_INFO: Kind::Gauge, "contactsync_build_info", "contactsync.build_info", "1", ["version"],
        "Always 1; the label tells the version that runs";
    PROCESS_START: Kind::Gauge, "process_start_time_seconds", "process.start_time", "s", [],
        "When the process started, in seconds since 1970";
    PROCESS_MEMORY: Kind::Gauge, "process_resident_memory_bytes", "process.memory.usage", "By", [],
        "Resident memory; absent where the system does not tell";
}

/// The page of the documentation about the metrics.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nWritten from `worker/src/telemetry/catalogue.rs` by a test; do not edit.\n\nThe names are those on \
         `/metrics`; by OTLP the name in the second column travels. Counters and histograms start at zero with the \
         process. Queue-wide metrics tell the same from every replica: take their maximum, never their sum.\n\n\
         | name | by OTLP | type | unit | labels | what it tells |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for metric in ALL {
        let labels: Vec<_> =
            metric.labels.iter().map(|label| format!("`{}`", label.replace('.', "_"))).collect();
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let queue = if metric.queue_wide { " (queue-wide)" } else { "" };
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            page,
            "| `{}` | `{}` | {kind} | `{}` | {} | {}{queue} |",
            metric.name,
            metric.otel_name,
            metric.unit,
            labels.join(", "),
            metric.help,
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        let otel_names: BTreeSet<_> = ALL.iter().map(|metric| metric.otel_name).collect();
        assert_eq!((names.len(), otel_names.len()), (ALL.len(), ALL.len()));
        for metric in ALL {
            let name = metric.name;
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
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
