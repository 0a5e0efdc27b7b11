//! What a running worker shows over HTTP, as a scraper sees it.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};

use crate::{PATIENCE, client::http_client, world::Worker};

/// The pages of one worker.
pub struct Observed {
    client: reqwest::Client,
    address: String,
}

impl Observed {
    /// Waits until the worker says where its pages are.
    pub async fn of(worker: &Worker) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = worker.log()?;
            let told = log.split_once("status are at http://").and_then(|(_, rest)| rest.split_once('/'));
            if let Some((address, _)) = told {
                return Ok(Self { client: http_client()?, address: address.to_owned() });
            }
            ensure!(Instant::now() < deadline, "the worker does not say where it listens:\n{log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The metrics now.
    pub async fn metrics(&self) -> Result<Metrics> {
        let (status, text) = get(&self.client, format!("http://{}/metrics", self.address).parse()?).await?;
        ensure!(status == 200, "the metrics are answered with {status}");
        Ok(Metrics(text))
    }

    /// Polls until the metrics fulfil a condition; if they never do, shows those of the queue.
    pub async fn until(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics().await?;
            if holds(&metrics) {
                return Ok(metrics);
            }
            ensure!(Instant::now() < deadline, "not in time: {what}; last seen:\n{}", metrics.of_the_queue());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Status and text of a page of a service on this machine.
pub async fn get(client: &reqwest::Client, url: reqwest::Url) -> Result<(u16, String)> {
    let response = client.get(url).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// A page of metrics.
#[derive(Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The value of a series, written as on the page: `name` or `name{label="value"}`.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Messages in a state.
    #[must_use]
    pub fn messages(&self, state: &str) -> Option<f64> {
        self.value(&format!("contactsync_queue_messages{{state=\"{state}\"}}"))
    }

    fn of_the_queue(&self) -> String {
        let about = self.0.lines().filter(|line| line.starts_with("contactsync_queue"));
        about.collect::<Vec<_>>().join("\n")
    }
}
