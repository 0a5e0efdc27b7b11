//! The last hour, sample by sample: for the rates and the graphs of the status page.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use servicebus::QueueCounts;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::telemetry::Metrics;

/// Time between two samples.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// Samples of one hour, and the one before.
const KEPT: usize = 361;
/// Rates are those of the last minute.
const SPAN: Duration = Duration::from_mins(1);

/// Counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When.
    pub(super) at: Instant,
    /// Messages received so far.
    pub(super) received: u64,
    /// Messages settled so far.
    pub(super) settled: u64,
    /// Calls to Graph that write, so far.
    pub(super) writes: u64,
    /// How much was in the queue, as far as it was known.
    pub(super) queue: QueueCounts,
}

/// What happened a second, over the last minute or since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Rates {
    /// Messages received.
    pub received: f64,
    /// Messages settled.
    pub settled: f64,
    /// Calls to Graph that write.
    pub writes: f64,
}

/// The samples.
#[derive(Debug)]
pub(super) struct History(Mutex<VecDeque<Sample>>);

impl Sample {
    /// The counts now.
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self {
            at: Instant::now(),
            received: metrics.consumed.get(),
            settled: metrics.messages.total(),
            writes: metrics.graph_writes.total(),
            queue: metrics.queue.borrow().unwrap_or_default(),
        }
    }
}

impl History {
    /// One that begins now.
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self(Mutex::new(VecDeque::from([Sample::of(metrics)])))
    }

    /// Takes samples for ever.
    pub(super) async fn follow(&self, metrics: &Metrics) {
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.push(Sample::of(metrics));
        }
    }

    fn push(&self, sample: Sample) {
        let mut samples = self.samples();
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// The samples, oldest first.
    pub(super) fn all(&self) -> Vec<Sample> {
        self.samples().iter().copied().collect()
    }

    /// The rates up to this sample.
    pub(super) fn rates(&self, now: &Sample) -> Rates {
        let samples = self.samples();
        let then = samples.iter().find(|sample| now.at - sample.at <= SPAN).or(samples.back());
        let Some(then) = then else { return Rates::default() };
        // Right after the start a single message would look like a flood.
        let seconds = (now.at - then.at).as_secs_f64().max(5.0);
        #[expect(clippy::cast_precision_loss, reason = "a rate to be looked at")]
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Rates {
            received: rate(now.received, then.received),
            settled: rate(now.settled, then.settled),
            writes: rate(now.writes, then.writes),
        }
    }

    fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::observer::tests::observer;

    fn sample(at: Instant, received: u64) -> Sample {
        Sample { at, received, settled: 0, writes: 0, queue: QueueCounts::default() }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let history = History::new(&observer().metrics);
        let start = Instant::now();
        for step in 0..1_000_u32 {
            history.push(sample(start + STEP * step, u64::from(step)));
        }
        let kept = history.all();
        assert_eq!((kept.len(), kept[0].received), (KEPT, 639));
    }

    #[test]
    fn rates_are_those_of_the_last_minute() {
        let history = History::new(&observer().metrics);
        let start = Instant::now();
        for step in 1..=30_u32 {
            history.push(sample(start + STEP * step, u64::from(step) * 50));
        }
        let now = sample(start + STEP * 30 + Duration::from_secs(5), 1_550);
        assert!((history.rates(&now).received - 300.0 / 55.0).abs() < 1e-9, "{:?}", history.rates(&now));
    }
}
