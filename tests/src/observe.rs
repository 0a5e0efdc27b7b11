//! What a test sees of a running worker by its own HTTP pages.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

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

    /// Waits until it has this role among the replicas.
    pub async fn becomes(&mut self, role: &str) -> Result<()> {
        let line = format!("contactsync_replica_role{{role=\"{role}\"}} 1\n");
        let page = self.page_until("/metrics", |page| page.text.contains(&line)).await;
        page.map(drop).with_context(|| self.log().unwrap_or_default())
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
