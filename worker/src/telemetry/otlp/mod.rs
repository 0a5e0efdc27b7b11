//! Export of metrics and traces by OTLP, over HTTP with protobuf.
//!
//! It runs beside the pipeline and is never waited for: what cannot be delivered within a few tries is dropped and
//! counted. The messages are few and small, so they are written down in `wire` instead of bringing in the SDK, whose
//! instruments cost more for each value and cannot be fed from ours.

mod convert;
mod wire;

use std::{sync::Arc, time::Duration};

use prost::Message;
use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use servicebus::{clock, retry::retry};
use shared::{
    reason::chain,
    retry::{Again, Ladder},
    retry_after,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use uuid::Uuid;

use super::{Observer, labels::Signal, trace::Span};
use crate::{http_client, settings::Otlp};

/// Spans in one request.
const BATCH: usize = 512;
/// How long spans wait for others to travel with.
const GATHERING: Duration = Duration::from_secs(1);
/// Tries of one request, and the longest wait that the receiver can impose between two.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const SENDS: Ladder =
    Ladder::fixed(Duration::from_millis(500), LONGEST_WAIT).with_tries(4).with_equal_jitter();
/// Time for the last export when the worker stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// An export that runs.
pub(crate) struct Export {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Exporter {
    http: http_client::Client,
    headers: HeaderMap,
    traces: Url,
    metrics: Url,
    instance: Uuid,
    observer: Arc<Observer>,
    /// Whether the latest request failed, so that one line is logged for each change and not for each request.
    failing: bool,
}

impl Export {
    /// Begins to export.
    #[must_use]
    pub(crate) fn start(
        http: http_client::Client,
        settings: &Otlp,
        observer: Arc<Observer>,
        spans: mpsc::Receiver<Span>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let exporter = Exporter {
            http,
            headers: settings.headers.clone(),
            traces: below(&settings.endpoint, "v1/traces"),
            metrics: below(&settings.endpoint, "v1/metrics"),
            instance: Uuid::new_v4(),
            observer,
            failing: false,
        };
        Self { stop, task: tokio::spawn(exporter.run(settings.interval, spans, stopped)) }
    }

    /// Exports what is left, within a few seconds.
    pub(crate) async fn finish(self) {
        self.stop.send_replace(true);
        if timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!("the last metrics and traces did not reach the otlp receiver in time");
        }
    }
}

fn below(root: &Url, path: &str) -> Url {
    let mut url = root.clone();
    url.set_path(&format!("{}/{path}", root.path().trim_end_matches('/')));
    url
}

impl Exporter {
    async fn run(
        mut self,
        every: Duration,
        mut spans: mpsc::Receiver<Span>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                _ = ticks.tick() => self.send_metrics().await,
                received = spans.recv_many(&mut batch, BATCH), if batch.is_empty() => {
                    if received == 0 {
                        break;
                    }
                    sleep(GATHERING).await;
                    while batch.len() < BATCH && let Ok(span) = spans.try_recv() {
                        batch.push(span);
                    }
                    self.send_spans(&mut batch).await;
                }
            }
        }
        while let Ok(span) = spans.try_recv() {
            batch.push(span);
        }
        self.send_spans(&mut batch).await;
        self.send_metrics().await;
    }

    async fn send_spans(&mut self, batch: &mut Vec<Span>) {
        let observer = Arc::clone(&self.observer);
        let target = observer.metrics.constants().target.as_deref();
        for spans in batch.chunks(BATCH) {
            let body = convert::spans(spans, self.instance, target).encode_to_vec();
            let lost = u64::try_from(spans.len()).unwrap_or(u64::MAX);
            self.send(Signal::Traces, body, lost).await;
        }
        batch.clear();
    }

    async fn send_metrics(&mut self) {
        self.observer.refresh();
        let metrics = &self.observer.metrics;
        let body = convert::metrics(metrics, clock::now(), self.instance).encode_to_vec();
        self.send(Signal::Metrics, body, 1).await;
    }

    async fn send(&mut self, signal: Signal, body: Vec<u8>, items: u64) {
        let sent = self.try_to_send(signal, body).await;
        match sent {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("the otlp receiver takes metrics and traces again");
            }
            Ok(()) => {}
            Err(why) => {
                self.observer.metrics.telemetry_lost.of(signal).add(items);
                if !self.failing {
                    self.failing = true;
                    tracing::warn!(why, "the otlp receiver takes nothing; see telemetry.otlp_endpoint");
                }
            }
        }
    }

    async fn try_to_send(&self, signal: Signal, body: Vec<u8>) -> Result<(), String> {
        let url = match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
        };
        let body = bytes::Bytes::from(body);
        let sent =
            retry(SENDS, |(_, again): &(String, Again)| *again, || self.try_once(url, body.clone())).await;
        sent.map_err(|(why, _)| why)
    }

    /// One try: why it failed, and whether another one may help.
    async fn try_once(&self, url: &Url, body: bytes::Bytes) -> Result<(), (String, Again)> {
        let request = self.http.request(Method::POST, url).headers(self.headers.clone());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let response = request.send().await.map_err(|error| (chain(&error.without_url()), Again::Later))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after::parse(value, clock::now()));
        let again = match asked {
            _ if !may_pass(status) => Again::Never,
            Some(asked) => Again::After(asked.min(LONGEST_WAIT)),
            None => Again::Later,
        };
        Err((format!("it answered {}", status.as_u16()), again))
    }
}

/// The statuses after which OTLP says to try again.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
