//! How much one channel is sent at most.

use std::{collections::VecDeque, time::Duration};

use crate::monotonic_time::MonotonicTime;

const HOUR: Duration = Duration::from_hours(1);

/// One notice a second, twenty an hour: what every receiver takes, and no person reads more.
#[derive(Clone, Debug, Default)]
pub struct NoticeBudget {
    /// When the latest were begun, the oldest first.
    begun: VecDeque<MonotonicTime>,
}

impl NoticeBudget {
    /// Most in any hour.
    pub const HOURLY: usize = 20;
    /// Least between two.
    pub const APART: Duration = Duration::from_secs(1);

    /// How many may be begun now and in the time until the oldest one is an hour ago.
    pub fn left(&mut self, now: MonotonicTime) -> usize {
        while self.begun.front().is_some_and(|begun| now - *begun >= HOUR) {
            self.begun.pop_front();
        }
        Self::HOURLY - self.begun.len().min(Self::HOURLY)
    }

    /// Whether one may be begun now.
    pub fn allows(&mut self, now: MonotonicTime) -> bool {
        self.left(now) > 0 && self.begun.back().is_none_or(|latest| now - *latest >= Self::APART)
    }

    /// One is begun.
    pub fn take(&mut self, now: MonotonicTime) {
        self.begun.push_back(now);
    }
}
