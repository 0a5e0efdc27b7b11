//! The values of one process: counted where things happen, read by `/metrics`, by OTLP and by the status page.
//!
//! One field for each metric of the [`catalogue`]. What is read comes out as [`Series`], whatever the form in which
//! it leaves.

use std::{borrow::Cow, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    catalogue::{self, Kind, Metric},
    labels::{
        Answer, Call, Ended, ErrorType, Labels, Method, PauseCause, QueueState, Service, Signal, Warning,
        Worked,
    },
    process,
    queue_reading::QueueReading,
    values::{Counter, Family, Gauge, Histogram, Measure},
};

/// What is the same for every value of a process.
#[derive(Clone, Debug)]
pub struct Constants {
    /// Queue, or topic and subscription.
    pub destination: Box<str>,
    /// Host of Graph.
    pub server: Box<str>,
    /// Its port.
    pub port: u16,
    /// When the process started.
    pub started: Timestamp,
}

/// The values.
#[derive(Debug)]
pub struct Metrics {
    constants: Constants,
    /// [`catalogue::MESSAGES`].
    pub messages: Family<Ended, Counter>,
    /// [`catalogue::CHANGES_PER_WRITE`].
    pub changes_per_write: Histogram,
    /// [`catalogue::GRAPH_WRITES`].
    pub graph_writes: Family<Answer, Counter>,
    /// [`catalogue::GRAPH_THROTTLED`].
    pub graph_throttled: Gauge,
    /// [`catalogue::WRITE_BUDGET`].
    pub write_budget: Gauge,
    /// [`catalogue::APPLY_DURATION`].
    pub apply_duration: Histogram,
    /// [`catalogue::CHANGE_TO_APPLIED`].
    pub change_to_applied: Histogram,
    /// [`catalogue::IN_FLIGHT`].
    pub in_flight: Gauge,
    /// [`catalogue::HELD_MESSAGES`].
    pub held_messages: Gauge,
    /// [`catalogue::LANES_WAITING`].
    pub lanes_waiting: Gauge,
    /// [`catalogue::LOCKS_LOST`].
    pub locks_lost: Counter,
    /// [`catalogue::VERSION_RESETS`].
    pub version_resets: Counter,
    /// [`catalogue::VERSIONS_CUT`].
    pub versions_cut: Counter,
    /// [`catalogue::BREAKER_STATE`].
    pub breaker_state: Gauge,
    /// [`catalogue::INTAKE_PAUSED`].
    pub intake_paused: Family<PauseCause, Gauge>,
    /// [`catalogue::WARNING`].
    pub warning: Family<Warning, Gauge>,
    /// [`catalogue::CLOCK_SKEW`].
    pub clock_skew: Family<Service, Measure>,
    /// [`catalogue::BROKER_UP`].
    pub broker_up: Gauge,
    /// [`catalogue::READY`].
    pub ready: Gauge,
    /// [`catalogue::CONSUMED`].
    pub consumed: Counter,
    /// [`catalogue::SENT`].
    pub sent: Family<Worked, Counter>,
    /// [`catalogue::PROCESS_DURATION`].
    pub process_duration: Family<ErrorType, Histogram>,
    /// [`catalogue::SETTLE_DURATION`].
    pub settle_duration: Family<Worked, Histogram>,
    /// [`catalogue::HTTP_DURATION`].
    pub http_duration: Family<Call, Histogram>,
    /// What is known of the queue as a whole; `None` while it is unknown.
    pub queue: watch::Sender<Option<QueueReading>>,
    /// [`catalogue::LOG_LINES_LEFT_OUT`].
    pub log_lines_left_out: Counter,
    /// [`catalogue::TELEMETRY_LOST`].
    pub telemetry_lost: Family<Signal, Counter>,
}

/// A metric with its values now.
#[derive(Clone, Debug)]
pub struct Series {
    /// The metric.
    pub metric: &'static Metric,
    /// Its values. None if there is nothing to tell yet.
    pub points: Vec<Point>,
}

/// One value.
#[derive(Clone, Debug)]
pub struct Point {
    /// Labels that are not empty, named as OpenTelemetry does.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// How many values fell between bounds.
    Histogram {
        /// The bounds.
        bounds: &'static [f64],
        /// One count more than there are bounds.
        counts: Vec<u64>,
        /// The sum of all values.
        sum: f64,
    },
}

impl Metrics {
    /// Everything at zero.
    #[must_use]
    pub fn new(constants: Constants) -> Self {
        Self {
            constants,
            messages: Family::default(),
            changes_per_write: histogram(&catalogue::CHANGES_PER_WRITE),
            graph_writes: Family::default(),
            graph_throttled: Gauge::default(),
            write_budget: Gauge::default(),
            apply_duration: histogram(&catalogue::APPLY_DURATION),
            change_to_applied: histogram(&catalogue::CHANGE_TO_APPLIED),
            in_flight: Gauge::default(),
            held_messages: Gauge::default(),
            lanes_waiting: Gauge::default(),
            locks_lost: Counter::default(),
            version_resets: Counter::default(),
            versions_cut: Counter::default(),
            breaker_state: Gauge::default(),
            intake_paused: Family::default(),
            warning: Family::default(),
            clock_skew: Family::default(),
            broker_up: Gauge::default(),
            ready: Gauge::default(),
            consumed: Counter::default(),
            sent: Family::default(),
            process_duration: Family::with(|| histogram(&catalogue::PROCESS_DURATION)),
            settle_duration: Family::with(|| histogram(&catalogue::SETTLE_DURATION)),
            http_duration: Family::with(|| histogram(&catalogue::HTTP_DURATION)),
            queue: watch::Sender::new(None),
            log_lines_left_out: Counter::default(),
            telemetry_lost: Family::default(),
        }
    }

    /// What is the same for every value.
    #[must_use]
    pub fn constants(&self) -> &Constants {
        &self.constants
    }

    /// A call to Graph ended.
    pub fn called(&self, call: Call, took: Duration) {
        self.http_duration.of(call).record_time(took);
        if call.method == Method::Patch {
            self.graph_writes.of(call.answer).add(1);
        }
    }

    /// All metrics with their values now, in the order of the catalogue.
    #[must_use]
    pub fn read(&self) -> Vec<Series> {
        let parts = [self.worker(), self.conventional(), self.queue_wide(), self.process()];
        parts.into_iter().flatten().map(|(metric, points)| Series { metric, points }).collect()
    }

    fn worker(&self) -> Vec<(&'static Metric, Vec<Point>)> {
        vec![
            (&catalogue::MESSAGES, counters(&catalogue::MESSAGES, &self.messages)),
            (&catalogue::CHANGES_PER_WRITE, one(distribution(&self.changes_per_write))),
            (&catalogue::GRAPH_WRITES, counters(&catalogue::GRAPH_WRITES, &self.graph_writes)),
            (&catalogue::GRAPH_THROTTLED, number(self.graph_throttled.get())),
            (&catalogue::WRITE_BUDGET, number(self.write_budget.get())),
            (&catalogue::APPLY_DURATION, one(distribution(&self.apply_duration))),
            (&catalogue::CHANGE_TO_APPLIED, one(distribution(&self.change_to_applied))),
            (&catalogue::IN_FLIGHT, number(self.in_flight.get())),
            (&catalogue::HELD_MESSAGES, number(self.held_messages.get())),
            (&catalogue::LANES_WAITING, number(self.lanes_waiting.get())),
            (&catalogue::LOCKS_LOST, one(Value::Count(self.locks_lost.get()))),
            (&catalogue::VERSION_RESETS, one(Value::Count(self.version_resets.get()))),
            (&catalogue::VERSIONS_CUT, one(Value::Count(self.versions_cut.get()))),
            (&catalogue::BREAKER_STATE, number(self.breaker_state.get())),
            (&catalogue::INTAKE_PAUSED, gauges(&catalogue::INTAKE_PAUSED, &self.intake_paused)),
            (&catalogue::WARNING, gauges(&catalogue::WARNING, &self.warning)),
            (
                &catalogue::CLOCK_SKEW,
                family(&catalogue::CLOCK_SKEW, &self.clock_skew, |skew| skew.get().map(Value::Number)),
            ),
            (&catalogue::BROKER_UP, number(self.broker_up.get())),
            (&catalogue::READY, number(self.ready.get())),
        ]
    }

    /// Metrics that OpenTelemetry has defined, with the labels it asks for.
    fn conventional(&self) -> Vec<(&'static Metric, Vec<Point>)> {
        let sent = |(worked, count): (Worked, &Counter)| {
            self.messaging("schedule", worked.as_str(), Value::Count(count.get()))
        };
        let port = self.constants.port.to_string();
        let server = [("server.address", &*self.constants.server), ("server.port", &port)];
        let mut calls = family(&HTTP_CALL, &self.http_duration, recorded);
        for point in &mut calls {
            point.labels.extend(server.map(|(name, value)| (name, value.to_owned().into())));
        }
        vec![
            (&catalogue::CONSUMED, vec![self.messaging("receive", "", Value::Count(self.consumed.get()))]),
            (&catalogue::SENT, self.sent.iter().map(sent).collect()),
            (&catalogue::PROCESS_DURATION, self.messaging_times("process", &self.process_duration)),
            (&catalogue::SETTLE_DURATION, self.messaging_times("settle", &self.settle_duration)),
            (&catalogue::HTTP_DURATION, calls),
        ]
    }

    /// What is not known is absent, never zero.
    fn queue_wide(&self) -> Vec<(&'static Metric, Vec<Point>)> {
        let known = *self.queue.borrow();
        let messages = |reading: QueueReading| {
            let point = |state: QueueState| {
                let count = reading.count(state)?;
                Some(labelled(vec![("state", state.as_str().into())], Value::Count(count)))
            };
            QueueState::all().into_iter().filter_map(point).collect()
        };
        let oldest = known.and_then(|reading| reading.oldest_age).map(|age| number(age.as_secs_f64()));
        let size = known.and_then(|reading| reading.size).map(|bytes| one(Value::Count(bytes)));
        vec![
            (&catalogue::QUEUE_MESSAGES, known.map(messages).unwrap_or_default()),
            (&catalogue::QUEUE_OLDEST_AGE, oldest.unwrap_or_default()),
            (&catalogue::QUEUE_SIZE, size.unwrap_or_default()),
            (&catalogue::QUEUE_COUNTS_UP, switch(known.is_some())),
            (
                &catalogue::QUEUE_LOWER_BOUND,
                known.map(|reading| switch(reading.lower_bound)).unwrap_or_default(),
            ),
        ]
    }

    fn process(&self) -> Vec<(&'static Metric, Vec<Point>)> {
        let version = vec![("version", env!("CARGO_PKG_VERSION").into())];
        let memory = process::resident_bytes().map(|bytes| one(Value::Count(bytes)));
        vec![
            (&catalogue::LOG_LINES_LEFT_OUT, one(Value::Count(self.log_lines_left_out.get()))),
            (&catalogue::TELEMETRY_LOST, counters(&catalogue::TELEMETRY_LOST, &self.telemetry_lost)),
            (&catalogue::BUILD_INFO, vec![labelled(version, Value::Number(1.0))]),
            (&catalogue::PROCESS_START, number(self.constants.started.as_duration().as_secs_f64())),
            (&catalogue::PROCESS_MEMORY, memory.unwrap_or_default()),
        ]
    }

    fn messaging_times<L: Labels>(
        &self,
        operation: &'static str,
        times: &Family<L, Histogram>,
    ) -> Vec<Point> {
        let point = |(member, histogram): (L, &Histogram)| {
            let error = member.values().first().copied().unwrap_or_default();
            Some(self.messaging(operation, error, recorded(histogram)?))
        };
        times.iter().filter_map(point).collect()
    }

    fn messaging(&self, operation: &'static str, error: &'static str, value: Value) -> Point {
        let mut labels: Vec<(&'static str, Cow<'static, str>)> = vec![
            ("messaging.system", "servicebus".into()),
            ("messaging.operation.name", operation.into()),
            ("messaging.destination.name", self.constants.destination.to_string().into()),
        ];
        if !error.is_empty() {
            labels.push(("error.type", error.into()));
        }
        labelled(labels, value)
    }
}

fn gauges<L: Labels>(metric: &'static Metric, members: &Family<L, Gauge>) -> Vec<Point> {
    family(metric, members, |gauge| Some(Value::Number(gauge.get())))
}

/// The labels of [`catalogue::HTTP_DURATION`] that differ from call to call.
static HTTP_CALL: Metric = Metric {
    labels: &["http.request.method", "http.response.status_code", "error.type"],
    ..catalogue::HTTP_DURATION
};

fn histogram(metric: &Metric) -> Histogram {
    match metric.kind {
        Kind::Histogram(bounds) => Histogram::new(bounds),
        Kind::Counter | Kind::Gauge => Histogram::new(&[]),
    }
}

fn labelled(labels: Vec<(&'static str, Cow<'static, str>)>, value: Value) -> Point {
    Point { labels, value }
}

fn one(value: Value) -> Vec<Point> {
    vec![labelled(Vec::new(), value)]
}

fn number(value: f64) -> Vec<Point> {
    one(Value::Number(value))
}

fn switch(on: bool) -> Vec<Point> {
    number(if on { 1.0 } else { 0.0 })
}

fn distribution(histogram: &Histogram) -> Value {
    Value::Histogram { bounds: histogram.bounds(), counts: histogram.counts(), sum: histogram.sum() }
}

/// A histogram of a family is told once something is in it: most members of a family never come up.
fn recorded(histogram: &Histogram) -> Option<Value> {
    histogram.counts().iter().any(|count| *count > 0).then(|| distribution(histogram))
}

fn counters<L: Labels>(metric: &'static Metric, family_of: &Family<L, Counter>) -> Vec<Point> {
    family(metric, family_of, |counter| Some(Value::Count(counter.get())))
}

fn family<L: Labels, V>(
    metric: &'static Metric,
    values: &Family<L, V>,
    read: impl Fn(&V) -> Option<Value>,
) -> Vec<Point> {
    let point = |(member, value): (L, &V)| {
        let labels = metric.labels.iter().copied().zip(member.values());
        let labels = labels.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.into()));
        Some(labelled(labels.collect(), read(value)?))
    };
    values.iter().filter_map(point).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn constants() -> Constants {
        Constants {
            destination: "contacts".into(),
            server: "graph.microsoft.com".into(),
            port: 443,
            started: Timestamp::UNIX_EPOCH,
        }
    }

    pub(crate) fn metrics() -> Metrics {
        Metrics::new(constants())
    }

    #[test]
    fn every_metric_of_the_catalogue_is_read_and_nothing_else() {
        let read: Vec<_> = metrics().read().iter().map(|series| series.metric.name).collect();
        let known: Vec<_> = catalogue::ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(read, known);
    }

    #[test]
    fn every_metric_has_a_value_with_declared_labels_once_something_happened() {
        let metrics = metrics();
        metrics.called(Call { method: Method::Patch, answer: Answer::status(204) }, Duration::from_millis(3));
        metrics.process_duration.of(ErrorType(None)).record(1.0);
        metrics.settle_duration.of(Worked::Yes).record(1.0);
        metrics.clock_skew.of(Service::Graph).set(Some(-45.0));
        metrics.queue.send_replace(Some(QueueReading {
            active: Some(1),
            dead_letters: Some(2),
            scheduled: Some(3),
            transfer: Some(4),
            size: Some(5),
            oldest_age: Some(Duration::from_secs(6)),
            lower_bound: false,
        }));
        for series in metrics.read() {
            assert!(!series.points.is_empty(), "{} has no value", series.metric.name);
            for (label, _) in series.points.iter().flat_map(|point| &point.labels) {
                assert!(
                    series.metric.labels.contains(label),
                    "{} does not declare {label}",
                    series.metric.name
                );
            }
        }
    }

    #[test]
    fn what_is_unknown_of_the_queue_is_absent_and_never_zero() {
        let metrics = metrics();
        let told = |metrics: &Metrics| -> Vec<_> {
            let series = metrics.read().into_iter().filter(|series| series.metric.queue_wide);
            series.filter(|series| !series.points.is_empty()).map(|series| series.metric.name).collect()
        };
        assert_eq!(told(&metrics), [catalogue::QUEUE_COUNTS_UP.name]);
        metrics.queue.send_replace(Some(QueueReading { active: Some(0), ..QueueReading::default() }));
        let names = [
            catalogue::QUEUE_MESSAGES.name,
            catalogue::QUEUE_COUNTS_UP.name,
            catalogue::QUEUE_LOWER_BOUND.name,
        ];
        assert_eq!(told(&metrics), names);
    }
}
