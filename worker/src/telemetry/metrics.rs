//! What is asked of the [`Metrics`] beside their values.

use std::{collections::BTreeMap, time::Duration};

use servicebus::QueueCounts;

use super::{
    catalogue::Metrics,
    labels::{Call, Dependency, Ended, Labels, Method, QueueState},
    metric::{Constants, MetricValue, Readings, Series},
};

impl Metrics {
    /// What is the same for every value.
    #[must_use]
    pub(crate) fn constants(&self) -> &Constants {
        &self.constants
    }

    /// Messages settled so far, by a name of how they ended.
    pub(crate) fn messages_by(
        &self,
        name: impl Fn(Ended) -> Option<&'static str>,
    ) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (ended, count) in self.messages.iter() {
            if let Some(name) = name(ended) {
                *counts.entry(name).or_default() += count.get();
            }
        }
        counts
    }

    /// A call to Graph ended.
    pub(crate) fn called(&self, call: Call, took: Duration) {
        self.http_duration.of(call).record_time(took);
        if call.answer.error_type().is_empty() {
            self.successes.note(Dependency::Graph);
        }
        if call.method == Method::Patch {
            self.graph_writes.of(call.answer).add(1);
        }
    }

    /// How much is in the queue, as far as it is known.
    #[must_use]
    pub(crate) fn queue_now(&self) -> QueueCounts {
        self.queue.borrow().unwrap_or_default()
    }

    /// What is not known is absent, never zero.
    pub(super) fn queue_messages(&self) -> Readings {
        let counts = self.queue_now();
        let reading = |state: QueueState| {
            let count = match state {
                QueueState::Active => counts.active,
                QueueState::DeadLetter => counts.dead_letter,
                QueueState::Scheduled => counts.scheduled,
                QueueState::Transfer => counts.transfer,
            };
            Some((state.values(), MetricValue::Count(count?)))
        };
        QueueState::all().into_iter().filter_map(reading).collect()
    }
}

/// The metrics of several targets as those of one process: each series once, with the values of all.
#[must_use]
pub(crate) fn together(all: Vec<Vec<Series>>) -> Vec<Series> {
    let mut targets = all.into_iter();
    let mut whole = targets.next().unwrap_or_default();
    for more in targets {
        // All are in the order of the catalogue.
        for (series, more) in whole.iter_mut().zip(more) {
            if !series.metric.is_of_process() {
                series.points.extend(more.points);
            }
        }
    }
    whole
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use servicebus::MessagingSystem;

    use super::{
        super::{
            catalogue,
            drift_labels::{DriftLabel, DriftPassKind},
            labels::{CallOutcome, CredentialUse, ErrorType, Service, Worked},
            metric::Constants,
        },
        *,
    };

    pub(crate) fn constants() -> Constants {
        Constants {
            system: MessagingSystem::SERVICE_BUS,
            destination: "contacts".into(),
            server: "graph.microsoft.com".into(),
            port: 443,
            started: Timestamp::UNIX_EPOCH,
            target: None,
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
        metrics.called(
            Call { method: Method::Patch, answer: CallOutcome::status(204) },
            Duration::from_millis(3),
        );
        metrics.process_duration.of(ErrorType(None)).record(1.0);
        metrics.settle_duration.of(Worked::Yes).record(1.0);
        metrics.clock_skew.of(Service::Graph).set(Some(-45.0));
        metrics.drift_users.of(DriftLabel::Missed).set(Some(3.0));
        metrics.drift_pass_time.of(DriftPassKind::Full).set(Some(1.0));
        metrics.drift_pass_duration.of(DriftPassKind::Full).set(Some(1.0));
        metrics.credential_ends.of(CredentialUse::Graph).set(Some(1.9e9));
        metrics.since_success.of(Dependency::Graph).set(Some(3.0));
        metrics.queue.send_replace(Some(QueueCounts {
            active: Some(1),
            dead_letter: Some(2),
            scheduled: Some(3),
            transfer: Some(4),
            size_bytes: Some(5),
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
    fn the_metrics_of_several_targets_are_told_apart_by_a_label() {
        let of = |name: &str| Metrics::new(Constants { target: Some(name.into()), ..constants() }).read();
        let whole = together(vec![of("b2c"), of("external-id")]);
        for (series, alone) in whole.iter().zip(metrics().read()) {
            let name = series.metric.name;
            let is_of_process = series.metric.is_of_process();
            let count = alone.points.len();
            assert_eq!(series.points.len(), if is_of_process { count } else { 2 * count }, "{name}");
            for (place, point) in series.points.iter().enumerate() {
                let target = point.labels.iter().find(|(label, _)| *label == "target");
                let expected = if place < count { "b2c" } else { "external-id" };
                assert_eq!(target.map(|(_, value)| &**value), (!is_of_process).then_some(expected), "{name}");
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
        assert_eq!(told(&metrics), ["contactsync_queue_counts_up"]);
        metrics.queue.send_replace(Some(QueueCounts { active: Some(0), ..QueueCounts::default() }));
        let names = [
            "contactsync_queue_messages",
            "contactsync_queue_counts_up",
            "contactsync_queue_counts_lower_bound",
        ];
        assert_eq!(told(&metrics), names);
    }
}
