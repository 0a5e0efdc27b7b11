//! Service protection: how much one user may ask of one server within five minutes.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::refusal::Refusal;

/// The limits, if they are kept at all.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether they are kept.
    pub on: bool,
    /// Requests within the window.
    pub requests: usize,
    /// Milliseconds of work within the window.
    pub time_ms: u64,
    /// Requests at one time.
    pub concurrent: usize,
    /// The window in milliseconds; a test shortens it.
    pub window_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { on: false, requests: 6000, time_ms: 1_200_000, concurrent: 52, window_ms: 300_000 }
    }
}

/// Which limit refuses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The number of requests.
    Requests,
    /// The time they took together.
    Time,
    /// The number of requests at one time.
    Concurrency,
}

impl Limit {
    /// The refusal with its documented code and sentence.
    #[must_use]
    pub fn refusal(self, limits: &Limits) -> Refusal {
        let seconds = limits.window_ms.div_ceil(1000);
        let (code, message) = match self {
            Self::Requests => (
                0x8007_2322,
                format!(
                    "Number of requests exceeded the limit of {} over time window of {seconds} seconds.",
                    limits.requests
                ),
            ),
            Self::Time => (
                0x8007_2321,
                format!(
                    "Combined execution time of incoming requests exceeded limit of {} milliseconds over time window \
                     of {seconds} seconds. Decrease number of concurrent requests or reduce the duration of requests \
                     and try again later.",
                    super::json::grouped(i64::try_from(limits.time_ms).unwrap_or(i64::MAX))
                ),
            ),
            Self::Concurrency => (
                0x8007_2326,
                format!("Number of concurrent requests exceeded the limit of {}.", limits.concurrent),
            ),
        };
        Refusal::new(429, code, message)
    }
}

/// What each app has used up.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    apps: HashMap<Uuid, Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// Requests within the window: when each came, and how long it took.
    requests: VecDeque<(Instant, Duration)>,
    running: usize,
}

impl Used {
    fn forget(&mut self, limits: &Limits, now: Instant) {
        let window = Duration::from_millis(limits.window_ms);
        while self.requests.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= window) {
            self.requests.pop_front();
        }
    }

    fn time(&self) -> Duration {
        self.requests.iter().map(|(_, took)| *took).sum()
    }
}

impl Usage {
    /// Counts a request that begins, unless a limit refuses it; then `Retry-After` in seconds comes along.
    ///
    /// A refused request counts too, which is why the time grows for those who keep calling.
    pub(crate) fn begin(&mut self, app: Uuid, limits: &Limits, now: Instant) -> Result<(), (Limit, u64)> {
        let used = self.apps.entry(app).or_default();
        used.forget(limits, now);
        used.requests.push_back((now, Duration::ZERO));
        let after = |index: usize| {
            let window = Duration::from_millis(limits.window_ms);
            let at = used.requests.get(index).map_or(now, |(at, _)| *at);
            (at + window).saturating_duration_since(now).as_millis().div_ceil(1000).max(1)
        };
        let refused = if !limits.on {
            None
        } else if used.running >= limits.concurrent {
            Some((Limit::Concurrency, 1))
        } else if used.requests.len() > limits.requests {
            Some((Limit::Requests, after(used.requests.len() - limits.requests - 1)))
        } else if used.time() >= Duration::from_millis(limits.time_ms) {
            Some((Limit::Time, after(0)))
        } else {
            None
        };
        match refused {
            Some((limit, seconds)) => Err((limit, u64::try_from(seconds).unwrap_or(u64::MAX))),
            None => {
                used.running += 1;
                Ok(())
            }
        }
    }

    /// Counts what a request that was let in took.
    pub(crate) fn end(&mut self, app: Uuid, began: Instant, now: Instant) {
        let Some(used) = self.apps.get_mut(&app) else { return };
        used.running = used.running.saturating_sub(1);
        if let Some(own) = used.requests.iter_mut().rev().find(|(at, took)| *at == began && took.is_zero()) {
            own.1 = now.saturating_duration_since(began);
        }
    }

    /// What is left, as the headers tell it: requests, and seconds of work.
    pub(crate) fn left(&self, app: Uuid, limits: &Limits) -> (u64, f64) {
        let (requests, time) =
            self.apps.get(&app).map_or((0, Duration::ZERO), |used| (used.requests.len(), used.time()));
        let requests = limits.requests.saturating_sub(requests);
        let time = Duration::from_millis(limits.time_ms).saturating_sub(time);
        (u64::try_from(requests).unwrap_or(u64::MAX), time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: Uuid = Uuid::from_u128(1);
    const LIMITS: Limits = Limits { on: true, requests: 2, time_ms: 5_000, concurrent: 2, window_ms: 10_000 };

    #[tokio::test(start_paused = true)]
    async fn the_third_request_waits_for_the_first_to_leave_the_window() {
        let (mut usage, start) = (Usage::default(), Instant::now());
        let mut ask = |seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            let answer = usage.begin(APP, &LIMITS, now);
            if answer.is_ok() {
                usage.end(APP, now, now);
            }
            answer
        };
        assert_eq!([ask(0), ask(1)], [Ok(()), Ok(())]);
        assert_eq!(ask(2), Err((Limit::Requests, 8)));
        // The refused one counted, so the wait has grown beyond what is left of the first.
        assert_eq!(ask(3), Err((Limit::Requests, 8)));
        assert_eq!(ask(20), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_concurrency_have_limits_of_their_own() {
        let (mut usage, start) = (Usage::default(), Instant::now());
        assert_eq!(usage.begin(APP, &LIMITS, start), Ok(()));
        let later = start + Duration::from_secs(6);
        usage.end(APP, start, later);
        assert_eq!(usage.begin(APP, &LIMITS, later), Err((Limit::Time, 4)));
        let wide = Limits { requests: 100, ..LIMITS };
        let mut usage = Usage::default();
        assert_eq!([usage.begin(APP, &wide, start), usage.begin(APP, &wide, start)], [Ok(()), Ok(())]);
        assert_eq!(usage.begin(APP, &wide, start), Err((Limit::Concurrency, 1)));
    }
}
