//! What a test sees of a running worker by its own HTTP pages, and a receiver of what it exports.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::{PATIENCE, client::http_client, world::Worker};

/// An answer of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// What it said.
    pub text: String,
}

/// Values on `/metrics`, by name with labels as they stand there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(pub BTreeMap<String, f64>);

impl Worker {
    /// Where its pages are, once it has said so.
    pub async fn address(&mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log()?;
            let line = log.lines().find_map(|line| line.split_once("status are at "));
            if let Some((_, rest)) = line {
                let address = rest.split(['"', ' ']).next().context("an address")?;
                return Ok(address.trim_end_matches('/').to_owned());
            }
            ensure!(self.is_running()? && Instant::now() < deadline, "the worker has no pages:\n{log}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// One of its pages.
    pub async fn page(&mut self, path: &str) -> Result<Page> {
        get(&format!("{}{path}", self.address().await?)).await
    }

    /// Its metrics now.
    pub async fn metrics(&mut self) -> Result<Metrics> {
        Ok(Metrics::of(&self.page("/metrics").await?.text))
    }

    /// Asks for a page until it answers as wanted.
    pub async fn page_until(&mut self, path: &str, wanted: impl Fn(&Page) -> bool) -> Result<Page> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.page(path).await?;
            if wanted(&page) {
                return Ok(page);
            }
            ensure!(Instant::now() < deadline, "{path} still says {page:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Asks for a page.
pub async fn get(url: &str) -> Result<Page> {
    let response = http_client()?.get(url).send().await?;
    Ok(Page { status: response.status().as_u16(), text: response.text().await? })
}

impl Metrics {
    /// Reads the text form.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| line.rsplit_once(' '));
        Self(values.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// The value of a series; 0 if it is not there.
    #[must_use]
    pub fn value(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// The sum over all series of a metric whose labels hold this text.
    #[must_use]
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let series = self
            .0
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(name) && series.contains(label));
        series.map(|(_, value)| value).sum()
    }
}

/// A receiver of OTLP that keeps what it gets, read with the types of the OpenTelemetry project.
pub struct Receiver {
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
    pub async fn start() -> Result<Self> {
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
    pub fn settings(&self) -> String {
        format!(
            "[telemetry]\notlp_endpoint = \"{}\"\notlp_headers = \"x-key=secret%20key\"\n\
             trace_ratio = 1.0\n",
            self.address
        )
    }

    /// Spans got so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.with(|got| got.spans.clone())
    }

    /// The latest of each metric.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.with(|got| got.metrics.clone())
    }

    /// The keys that came with requests, and how many requests could not be read.
    #[must_use]
    pub fn keys(&self) -> (Vec<String>, usize) {
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
