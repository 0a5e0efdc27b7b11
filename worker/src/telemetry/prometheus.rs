//! Metrics in the text form of Prometheus.

use std::fmt::Write;

use super::metric::{MetricValue, Point, Series};

/// The content type of [`render`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text that Prometheus reads.
#[must_use]
pub(crate) fn render(all: &[Series]) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for series in all.iter().filter(|series| !series.points.is_empty()) {
        // Writing to a string cannot fail.
        let _infallible = write_series(&mut text, series);
    }
    text
}

fn write_series(text: &mut String, series: &Series) -> std::fmt::Result {
    let metric = series.metric;
    writeln!(text, "# HELP {} {}", metric.name, metric.help.replace('\\', r"\\"))?;
    writeln!(text, "# TYPE {} {}", metric.name, metric.kind.as_str())?;
    series.points.iter().try_for_each(|point| write_point(text, metric.name, point))
}

fn write_point(text: &mut String, name: &str, point: &Point) -> std::fmt::Result {
    match &point.value {
        MetricValue::Count(count) => writeln!(text, "{name}{} {count}", labels(point, None)),
        MetricValue::Number(number) => writeln!(text, "{name}{} {number}", labels(point, None)),
        MetricValue::Histogram { bounds, counts, sum } => {
            let mut below = 0;
            let ends = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
            for (end, count) in ends.zip(counts) {
                below += count;
                writeln!(text, "{name}_bucket{} {below}", labels(point, Some(&end)))?;
            }
            writeln!(text, "{name}_sum{} {sum}", labels(point, None))?;
            writeln!(text, "{name}_count{} {below}", labels(point, None))
        }
    }
}

fn labels(point: &Point, end: Option<&str>) -> String {
    let mut pairs: Vec<_> = point
        .labels
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", name.replace('.', "_"), escaped(value)))
        .collect();
    pairs.extend(end.map(|end| format!("le=\"{end}\"")));
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{catalogue::tests::metric, metrics::tests::metrics},
        *,
    };

    #[track_caller]
    fn check(name: &str, points: Vec<Point>, expected: &str) {
        let text = render(&[Series { metric: metric(name), points }]);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn counters_gauges_and_histograms_read_as_prometheus_wants_them() {
        let labels = vec![("outcome", "applied".into())];
        check(
            "contactsync_messages_total",
            vec![Point { labels, value: MetricValue::Count(3) }],
            "# TYPE contactsync_messages_total counter\ncontactsync_messages_total{outcome=\"applied\"} 3",
        );
        check(
            "contactsync_write_budget_ratio",
            vec![Point { labels: Vec::new(), value: MetricValue::Number(0.7) }],
            "# TYPE contactsync_write_budget_ratio gauge\ncontactsync_write_budget_ratio 0.7",
        );
        let labels = vec![("messaging.system", "a\"b\\c\nd".into())];
        let value = MetricValue::Histogram { bounds: &[0.5, 1.0], counts: vec![1, 0, 2], sum: 7.25 };
        check(
            "messaging_client_operation_duration_seconds",
            vec![Point { labels, value }],
            r#"# TYPE messaging_client_operation_duration_seconds histogram
messaging_client_operation_duration_seconds_bucket{messaging_system="a\"b\\c\nd",le="0.5"} 1
messaging_client_operation_duration_seconds_bucket{messaging_system="a\"b\\c\nd",le="1"} 1
messaging_client_operation_duration_seconds_bucket{messaging_system="a\"b\\c\nd",le="+Inf"} 3
messaging_client_operation_duration_seconds_sum{messaging_system="a\"b\\c\nd"} 7.25
messaging_client_operation_duration_seconds_count{messaging_system="a\"b\\c\nd"} 3"#,
        );
    }

    #[test]
    fn nothing_is_said_of_a_metric_without_values() {
        let text = render(&metrics().read());
        assert!(!text.contains("contactsync_queue_messages"), "{text}");
        assert!(text.contains("\ncontactsync_queue_counts_up 0\n"), "{text}");
    }
}
