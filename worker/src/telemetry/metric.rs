//! What a metric is: how it is declared, and its values on their way out of the process.

use std::borrow::Cow;

use jiff::Timestamp;
use servicebus::MessagingSystem;

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// Only rises, from zero at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values up to each of these bounds.
    Histogram(&'static [f64]),
}

impl MetricKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name on `/metrics`.
    pub name: &'static str,
    /// Name in OTLP.
    pub otel_name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Unit, as UCUM writes it.
    pub unit: &'static str,
    /// Names of its labels, as OpenTelemetry writes them; on `/metrics` a dot is an underscore.
    pub labels: &'static [&'static str],
    /// Labels with one value for all its points.
    pub fixed: &'static [(&'static str, &'static str)],
    /// What it tells.
    pub help: &'static str,
    /// Whether it is about the queue, and so the same from every replica: take the maximum, never the sum.
    pub queue_wide: bool,
}

/// What is the same for every value of a process.
#[derive(Clone, Debug)]
pub(crate) struct Constants {
    /// What the queue belongs to.
    pub system: MessagingSystem,
    /// Queue, or topic and subscription.
    pub destination: Box<str>,
    /// Host of Graph.
    pub server: Box<str>,
    /// Its port.
    pub port: u16,
    /// When the process started.
    pub started: Timestamp,
    /// Which of several targets the values are of.
    pub target: Option<Box<str>>,
}

impl Constants {
    /// The value of a label that is the same for all metrics that have it.
    fn label(&self, name: &str) -> Option<Cow<'static, str>> {
        Some(match name {
            "messaging.system" => self.system.name.into(),
            "messaging.destination.name" => self.destination.to_string().into(),
            "server.address" => self.server.to_string().into(),
            "server.port" => self.port.to_string().into(),
            "version" => env!("CARGO_PKG_VERSION").into(),
            _ => return None,
        })
    }
}

/// Values of a metric, each with the values of those labels that are neither fixed nor constant.
pub(crate) type Readings = Vec<(Vec<&'static str>, MetricValue)>;

/// A reading of a metric with one value; nothing while it is not known.
pub(super) fn one(value: Option<MetricValue>) -> Readings {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

/// A metric with its values now.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The metric.
    pub metric: &'static Metric,
    /// Its values. None if there is nothing to tell yet.
    pub points: Vec<Point>,
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Labels that are not empty, named as OpenTelemetry does.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// The value.
    pub value: MetricValue,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetricValue {
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

impl MetricValue {
    /// 1 for what is so, 0 for what is not.
    pub(super) const fn switch(on: bool) -> Self {
        Self::Number(if on { 1.0 } else { 0.0 })
    }
}

/// The label that tells targets apart, where there are several.
const TARGET: &str = "target";

impl Metric {
    /// Whether it is about the process, and so the same for all of its targets.
    pub(super) fn is_of_process(&self) -> bool {
        self.name.starts_with("process_")
            || ["contactsync_build_info", "contactsync_notifications_total"].contains(&self.name)
    }

    /// These readings with all their labels, in the order in which the metric declares them.
    pub(super) fn series(&'static self, readings: Readings, constants: &Constants) -> Series {
        let point = |(values, value): (Vec<&'static str>, MetricValue)| {
            let mut values = values.into_iter();
            let label = |name: &&'static str| {
                let fixed =
                    self.fixed.iter().find(|(label, _)| label == name).map(|(_, text)| (*text).into());
                let text = fixed.or_else(|| constants.label(name));
                let text = text.or_else(|| values.next().map(Cow::from)).filter(|text| !text.is_empty());
                Some((*name, text?))
            };
            let target = constants.target.as_ref().filter(|_| !self.is_of_process());
            let target = target.map(|target| (TARGET, Cow::from(target.to_string())));
            Point { labels: self.labels.iter().filter_map(label).chain(target).collect(), value }
        };
        Series { metric: self, points: readings.into_iter().map(point).collect() }
    }
}
