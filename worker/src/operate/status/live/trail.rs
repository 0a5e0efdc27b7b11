//! How many messages waited, over the last hour at most.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{operate::status::Snapshot, status_page::StatusPage};

/// How long points are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Counts over time; unknown ones are kept as such, so that a gap is shown as a gap.
#[derive(Debug, Default)]
pub(super) struct Trail {
    points: VecDeque<(Timestamp, Option<u64>)>,
    seeded: bool,
}

impl Trail {
    /// Adds what a snapshot tells; the first worker that answers lends its memory of the last hour.
    pub(super) fn add(&mut self, snapshot: &Snapshot) {
        let at = snapshot.reading.at;
        if let (false, Ok(page)) = (self.seeded, &snapshot.worker) {
            self.seed(page, at);
        }
        let active = snapshot.reading.counts.as_ref().ok().and_then(|counts| counts.active);
        self.points.push_back((at, active));
        while self.points.front().is_some_and(|(then, _)| at.duration_since(*then) > KEPT) {
            self.points.pop_front();
        }
    }

    fn seed(&mut self, page: &StatusPage, now: Timestamp) {
        self.seeded = true;
        let first = self.points.front().map_or(now, |(at, _)| *at);
        let ages = page
            .history
            .age_seconds
            .iter()
            .map(|age| SignedDuration::from_secs(i64::try_from(*age).unwrap_or(i64::MAX)));
        let samples = ages.zip(page.history.active.iter().copied());
        let older = samples.filter_map(|(age, active)| Some((now.checked_sub(age).ok()?, active)));
        let mut older: Vec<_> = older.filter(|(at, _)| *at < first).collect();
        older.sort_by_key(|(at, _)| *at);
        older.into_iter().rev().for_each(|point| self.points.push_front(point));
    }

    /// One value for each of `columns` equal spans of time up to now, the highest in each; and the time they cover.
    /// Between two readings the count is taken to be that of the earlier one.
    pub(super) fn columns(&self, columns: usize) -> (Vec<Option<u64>>, Duration) {
        let (Some((first, _)), Some((last, _))) = (self.points.front(), self.points.back()) else {
            return (Vec::new(), Duration::ZERO);
        };
        let covered = last.duration_since(*first).as_millis().max(1);
        let mut seen: Vec<Vec<Option<u64>>> = vec![Vec::new(); columns];
        for (at, active) in &self.points {
            let place =
                at.duration_since(*first).as_millis() * i128::try_from(columns).unwrap_or(1) / covered;
            let place = usize::try_from(place).unwrap_or_default().min(columns.saturating_sub(1));
            if let Some(seen) = seen.get_mut(place) {
                seen.push(*active);
            }
        }
        let mut latest = None;
        let value = |seen: Vec<Option<u64>>| match seen.last() {
            None => latest,
            Some(now) => {
                latest = *now;
                seen.into_iter().flatten().max()
            }
        };
        let values = seen.into_iter().map(value).collect();
        (values, Duration::from_millis(u64::try_from(covered).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(points: &[(i64, Option<u64>)]) -> Trail {
        let at = |second| Timestamp::from_second(second).expect("in range");
        Trail { points: points.iter().map(|(second, active)| (at(*second), *active)).collect(), seeded: true }
    }

    #[test]
    fn each_column_is_the_highest_of_its_time() {
        let trail = trail(&[(0, Some(1)), (1, Some(9)), (2, Some(3)), (3, Some(4)), (4, Some(2))]);
        assert_eq!(trail.columns(2), (vec![Some(9), Some(4)], Duration::from_secs(4)));
    }

    #[test]
    fn a_gap_stays_a_gap_and_never_becomes_zero() {
        let trail = trail(&[(0, Some(1)), (1, None), (2, None), (3, Some(4))]);
        assert_eq!(trail.columns(3).0, [Some(1), None, Some(4)]);
    }

    #[test]
    fn few_readings_fill_many_columns() {
        let trail = trail(&[(0, Some(1)), (10, Some(5))]);
        assert_eq!(trail.columns(4).0, [Some(1), Some(1), Some(1), Some(5)]);
        assert_eq!(Trail::default().columns(4).0, []);
    }

    #[test]
    fn a_gap_at_the_beginning_leaves_the_rest_whole() {
        let trail = trail(&[(0, None), (4, Some(7)), (8, Some(3))]);
        assert_eq!(trail.columns(8).0, [None, None, None, None, Some(7), Some(7), Some(7), Some(3)]);
    }

    #[test]
    fn a_worker_lends_its_memory_once() {
        let mut trail = trail(&[(100, Some(5))]);
        let mut page = StatusPage::default();
        page.history.age_seconds = vec![60, 30, 0];
        page.history.active = vec![Some(1), None, Some(4)];
        trail.seed(&page, Timestamp::from_second(100).expect("in range"));
        let seen: Vec<_> = trail.points.iter().map(|(at, active)| (at.as_second(), *active)).collect();
        assert_eq!(seen, [(40, Some(1)), (70, None), (100, Some(5))]);
    }
}
