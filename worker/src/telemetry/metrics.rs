//! What is asked of the [`Metrics`] beside their values.

use std::{collections::BTreeMap, time::Duration};

use servicebus::QueueCounts;

use super::{
    catalogue::Metrics,
    labels::{Call, Ended, Labels, Method, QueueState},
    metric::{Constants, MetricValue, Readings},
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

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use servicebus::MessagingSystem;

    use super::{
        super::{
            catalogue,
            labels::{CallOutcome, ErrorType, Service, Worked},
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
