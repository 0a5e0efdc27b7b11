//! What both sides are asked: counted, and no faster than a share of what they allow.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::{sync::Mutex, time::Instant};

use crate::operate::read_pace::ReadPace;

/// Lets calls pass. Without a pace, they go out as they come.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    graph: Option<Mutex<ReadPace>>,
    dataverse: Option<Mutex<ReadPace>>,
    reads: AtomicU64,
}

impl Toll {
    /// This share, from 0 to 1, of what an app may ask of each side. None at all is no bound.
    pub(crate) fn of_share(share: f64) -> Self {
        let [graph, dataverse] = [ReadPace::graph(share), ReadPace::dataverse(share)];
        Self {
            graph: graph.map(Mutex::new),
            dataverse: dataverse.map(Mutex::new),
            reads: AtomicU64::default(),
        }
    }

    /// Asks Graph what costs so many resource units.
    pub(super) async fn graph<T>(&self, units: u32, ask: impl Future<Output = T>) -> T {
        if let Some(pace) = &self.graph {
            pace.lock().await.pass(units).await;
        }
        self.reads.fetch_add(1, Relaxed);
        ask.await
    }

    /// Asks Dataverse.
    pub(super) async fn dataverse<T>(&self, ask: impl Future<Output = T>) -> T {
        let Some(pace) = &self.dataverse else { return ask.await };
        let mut pace = pace.lock().await;
        pace.pass(1).await;
        let begun = Instant::now();
        let answer = ask.await;
        pace.ran(begun.elapsed());
        answer
    }

    /// Reads of Graph so far.
    pub(crate) fn graph_reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }
}
