//! The values behind the metrics: atomics, so that counting costs nanoseconds and never waits.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{
    labels::Labels,
    metric::{MetricKind, MetricValue, Readings, one},
};

/// A whole number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts that many.
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    /// The count since the last call, for whoever moves it elsewhere.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }

    /// The count so far.
    #[must_use]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub(crate) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Sets it to a count.
    pub(crate) fn set_count(&self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "counts of what is held are small")]
        self.set(count as f64);
    }

    fn add(&self, by: f64) {
        // The closure always has an answer, so the update cannot be refused.
        let _always =
            self.0.fetch_update(Relaxed, Relaxed, |bits| Some((f64::from_bits(bits) + by).to_bits()));
    }

    /// The value now.
    #[must_use]
    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// A time that only grows, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Seconds(Gauge);

impl Seconds {
    /// Adds a span of time.
    pub(crate) fn add(&self, time: Duration) {
        self.0.add(time.as_secs_f64());
    }

    /// The time so far.
    #[must_use]
    pub(crate) fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A number that may not be known.
#[derive(Debug)]
pub(crate) struct Measure(Gauge);

impl Measure {
    /// Sets it.
    pub(crate) fn set(&self, value: Option<f64>) {
        // What is no number stands for what is not known; nothing that is measured is no number.
        self.0.set(value.unwrap_or(f64::NAN));
    }

    /// The value now, if it is known.
    #[must_use]
    pub(crate) fn get(&self) -> Option<f64> {
        Some(self.0.get()).filter(|value| !value.is_nan())
    }
}

/// How many values fell between bounds.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: Gauge,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: Gauge::default() }
    }

    /// Takes a value in.
    pub(crate) fn record(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Relaxed);
        self.sum.add(value);
    }

    /// Takes a time in.
    pub(crate) fn record_time(&self, time: Duration) {
        self.record(time.as_secs_f64());
    }

    /// The counts between the bounds, not added up.
    #[must_use]
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// How many values there are.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// The sum of all values.
    #[must_use]
    pub(crate) fn sum(&self) -> f64 {
        self.sum.get()
    }
}

/// One value for each member of a closed list.
#[derive(Debug)]
pub(crate) struct Family<L, V> {
    cells: Box<[V]>,
    members: PhantomData<L>,
}

impl<L: Labels, V> Family<L, V> {
    /// The value of a member.
    #[must_use]
    pub(crate) fn of(&self, member: L) -> &V {
        &self.cells[member.index()]
    }

    /// Every member with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (L, &V)> {
        L::all().into_iter().zip(&self.cells)
    }
}

impl<L: Labels> Family<L, Counter> {
    /// The counts of all members together.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.cells.iter().map(Counter::get).sum()
    }
}

/// What a row of the catalogue keeps.
pub(super) trait Instrument {
    /// One in which nothing was counted.
    fn new(kind: MetricKind) -> Self;

    /// What was counted.
    fn read(&self) -> Readings;
}

/// What keeps one value.
pub(super) trait Cell {
    fn new(kind: MetricKind) -> Self;

    /// The value, if it is known.
    fn value(&self) -> Option<MetricValue>;

    /// Whether a family leaves it out, because most of its members never come up.
    fn is_idle(&self) -> bool {
        false
    }
}

impl Cell for Counter {
    fn new(_: MetricKind) -> Self {
        Self::default()
    }

    fn value(&self) -> Option<MetricValue> {
        Some(MetricValue::Count(self.get()))
    }
}

impl Cell for Gauge {
    fn new(_: MetricKind) -> Self {
        Self::default()
    }

    fn value(&self) -> Option<MetricValue> {
        Some(MetricValue::Number(self.get()))
    }
}

impl Cell for Seconds {
    fn new(_: MetricKind) -> Self {
        Self::default()
    }

    fn value(&self) -> Option<MetricValue> {
        Some(MetricValue::Number(self.get()))
    }
}

impl Cell for Measure {
    fn new(_: MetricKind) -> Self {
        let measure = Self(Gauge::default());
        measure.set(None);
        measure
    }

    fn value(&self) -> Option<MetricValue> {
        self.get().map(MetricValue::Number)
    }
}

impl Cell for Histogram {
    fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Histogram(bounds) => Self::new(bounds),
            MetricKind::Counter | MetricKind::Gauge => Self::new(&[]),
        }
    }

    fn value(&self) -> Option<MetricValue> {
        Some(MetricValue::Histogram { bounds: self.bounds, counts: self.counts(), sum: self.sum() })
    }

    fn is_idle(&self) -> bool {
        self.count() == 0
    }
}

impl<V: Cell> Instrument for V {
    fn new(kind: MetricKind) -> Self {
        Cell::new(kind)
    }

    fn read(&self) -> Readings {
        one(self.value())
    }
}

impl<L: Labels, V: Cell> Instrument for Family<L, V> {
    fn new(kind: MetricKind) -> Self {
        Self { cells: L::all().iter().map(|_| Cell::new(kind)).collect(), members: PhantomData }
    }

    fn read(&self) -> Readings {
        let active = self.iter().filter(|(_, cell)| !cell.is_idle());
        active.filter_map(|(member, cell)| Some((member.values(), cell.value()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 9.0] {
            histogram.record(value);
        }
        assert_eq!(histogram.counts(), [2, 2, 1]);
        assert!((histogram.sum() - 14.0).abs() < f64::EPSILON);
    }
}
