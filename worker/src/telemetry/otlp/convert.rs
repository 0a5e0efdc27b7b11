//! Our spans and metrics as OTLP wants them.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    super::{
        catalogue::{self, Metrics},
        metric::{MetricValue, Point, Series},
        trace,
    },
    wire,
};

/// Counted from the start of the process.
const CUMULATIVE: i32 = 2;
/// The status of a span that failed.
const ERROR: i32 = 2;

pub(super) fn spans(spans: &[trace::Span], instance: Uuid, target: Option<&str>) -> wire::TraceRequest {
    let scope_spans = wire::ScopeSpans { scope: Some(scope()), spans: spans.iter().map(span).collect() };
    let resource = Some(resource(instance, target));
    wire::TraceRequest {
        resource_spans: vec![wire::ResourceSpans { resource, scope_spans: vec![scope_spans] }],
    }
}

pub(super) fn metrics(metrics: &Metrics, now: Timestamp, instance: Uuid) -> wire::MetricsRequest {
    let times = (nanos(metrics.constants().started), nanos(now));
    let told = metrics.read().into_iter().filter(|series| !series.points.is_empty());
    let scope_metrics = wire::ScopeMetrics {
        scope: Some(scope()),
        metrics: told.map(|series| metric(&series, times)).collect(),
    };
    let resource = Some(resource(instance, metrics.constants().target.as_deref()));
    let resource_metrics = wire::ResourceMetrics { resource, scope_metrics: vec![scope_metrics] };
    wire::MetricsRequest { resource_metrics: vec![resource_metrics] }
}

fn span(span: &trace::Span) -> wire::Span {
    wire::Span {
        trace_id: span.context.trace.into(),
        span_id: span.context.span.into(),
        parent_span_id: span.parent.map(Into::into).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: match span.kind {
            trace::SpanRole::Internal => wire::SpanKind::Internal,
            trace::SpanRole::Client => wire::SpanKind::Client,
            trace::SpanRole::Consumer => wire::SpanKind::Consumer,
        }
        .into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end.max(span.start)),
        attributes: span.attributes.iter().map(|(name, value)| pair(name, value)).collect(),
        links: span
            .links
            .iter()
            .map(|link| wire::Link { trace_id: link.trace.into(), span_id: link.span.into() })
            .collect(),
        status: span.failure.clone().map(|message| wire::Status { message, code: ERROR }),
    }
}

fn metric(series: &Series, times: (u64, u64)) -> wire::Metric {
    let points = || series.points.iter().filter_map(|point| number(point, times)).collect();
    let data = match series.metric.kind {
        catalogue::MetricKind::Counter => {
            wire::Data::Sum(wire::Sum { data_points: points(), temporality: CUMULATIVE, is_monotonic: true })
        }
        catalogue::MetricKind::Gauge => wire::Data::Gauge(wire::Gauge { data_points: points() }),
        catalogue::MetricKind::Histogram(_) => wire::Data::Histogram(wire::Histogram {
            data_points: series.points.iter().filter_map(|point| distribution(point, times)).collect(),
            temporality: CUMULATIVE,
        }),
    };
    wire::Metric {
        name: series.metric.otel_name.to_owned(),
        description: series.metric.help.to_owned(),
        unit: series.metric.unit.to_owned(),
        data: Some(data),
    }
}

fn number(point: &Point, (start, now): (u64, u64)) -> Option<wire::NumberPoint> {
    let value = match point.value {
        MetricValue::Count(count) => wire::Number::Whole(i64::try_from(count).unwrap_or(i64::MAX)),
        MetricValue::Number(number) => wire::Number::Double(number),
        MetricValue::Histogram { .. } => return None,
    };
    Some(wire::NumberPoint {
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
        attributes: attributes(point),
    })
}

fn distribution(point: &Point, (start, now): (u64, u64)) -> Option<wire::HistogramPoint> {
    let MetricValue::Histogram { bounds, counts, sum } = &point.value else { return None };
    Some(wire::HistogramPoint {
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        attributes: attributes(point),
    })
}

fn attributes(point: &Point) -> Vec<wire::KeyValue> {
    point.labels.iter().map(|(name, value)| pair(name, value)).collect()
}

fn pair(key: &str, value: &str) -> wire::KeyValue {
    let value = Some(wire::AnyValue { text: Some(value.to_owned()) });
    wire::KeyValue { key: key.to_owned(), value }
}

fn scope() -> wire::Scope {
    wire::Scope { name: "contactsync".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

fn resource(instance: Uuid, target: Option<&str>) -> wire::Resource {
    let mut attributes = vec![
        pair("service.name", "contactsync"),
        pair("service.version", env!("CARGO_PKG_VERSION")),
        pair("service.instance.id", &instance.to_string()),
    ];
    // Each target exports for itself, as an instance of its own.
    attributes.extend(target.map(|target| pair("contactsync.target", target)));
    wire::Resource { attributes }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
