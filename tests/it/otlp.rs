//! A receiver of what a worker exports by OTLP.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use tokio::net::TcpListener;

/// A receiver of OTLP that keeps what it gets, read with the types of the OpenTelemetry project.
pub(crate) struct Receiver {
    address: String,
    got: Arc<Mutex<Got>>,
}

#[derive(Default)]
struct Got {
    spans: Vec<Span>,
    metrics: BTreeMap<String, Metric>,
    headers: Vec<String>,
    unreadable: usize,
}

impl Receiver {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Result<Self> {
        let got = Arc::<Mutex<Got>>::default();
        let routes = Router::new()
            .route("/v1/traces", post(take_spans))
            .route("/v1/metrics", post(take_metrics))
            .with_state(Arc::clone(&got));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, got })
    }

    /// Settings that make a worker export to it, with everything traced.
    #[must_use]
    pub(crate) fn settings(&self) -> String {
        format!(
            "[telemetry]\notlp_endpoint = \"{}\"\notlp_headers = \"x-key=secret%20key\"\n\
             trace_ratio = 1.0\n",
            self.address
        )
    }

    /// Spans got so far.
    #[must_use]
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.with(|got| got.spans.clone())
    }

    /// The latest of each metric.
    #[must_use]
    pub(crate) fn metrics(&self) -> BTreeMap<String, Metric> {
        self.with(|got| got.metrics.clone())
    }

    /// The keys that came with requests, and how many requests could not be read.
    #[must_use]
    pub(crate) fn keys(&self) -> (Vec<String>, usize) {
        self.with(|got| (got.headers.clone(), got.unreadable))
    }

    fn with<T>(&self, look: impl FnOnce(&Got) -> T) -> T {
        look(&self.got.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Shared = State<Arc<Mutex<Got>>>;

async fn take_spans(State(got): Shared, headers: axum::http::HeaderMap, body: Bytes) {
    let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
    got.note(&headers);
    match ExportTraceServiceRequest::decode(body) {
        Ok(request) => {
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            got.spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        Err(_) => got.unreadable += 1,
    }
}

async fn take_metrics(State(got): Shared, headers: axum::http::HeaderMap, body: Bytes) {
    let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
    got.note(&headers);
    match ExportMetricsServiceRequest::decode(body) {
        Ok(request) => {
            let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            let metrics = scopes.flat_map(|scope| scope.metrics);
            got.metrics.extend(metrics.map(|metric| (metric.name.clone(), metric)));
        }
        Err(_) => got.unreadable += 1,
    }
}

impl Got {
    fn note(&mut self, headers: &axum::http::HeaderMap) {
        let key = headers.get("x-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.headers.push(key.to_owned());
    }
}
