//! A share of what Graph and Dataverse let an app read.
//!
//! Source: Microsoft's "Microsoft Graph service-specific throttling limits": an app may use 3,500 resource units in 10 s in
//! the smallest tenants and 8,000 in the largest ones; nobody tells the size of a tenant, so the smallest counts. And
//! Microsoft's "Service protection API limits": a user may make 6,000 requests of Dataverse in 300 s, which may run for 1,200 s
//! together, 52 of them at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Resource units of Graph of a second in a small tenant.
const UNITS: f64 = 350.0;
/// Requests of Dataverse of a second.
const REQUESTS: f64 = 20.0;
/// How many seconds requests of Dataverse may run together in a second.
const RUNNING: f64 = 4.0;
/// Units of a page of users. A selection makes it cheaper by one, which is not counted on.
pub(super) const OF_PAGE: u32 = 2;
/// Units of one user, or of a question who is meant.
pub(super) const OF_LOOK: u32 = 2;

/// Lets calls pass no faster than that.
#[derive(Debug)]
pub(crate) struct ReadPace {
    unit: Duration,
    /// Seconds to wait for each second that a call ran.
    rest: f64,
    next: Instant,
}

impl ReadPace {
    /// This share, from 0 to 1, of what an app may read of Graph; `None` if it is none at all.
    pub(crate) fn graph(share: f64) -> Option<Self> {
        // How long calls take is no matter to Graph.
        Self::of(UNITS * share, 0.0)
    }

    /// The same of Dataverse, for requests one after another.
    pub(crate) fn dataverse(share: f64) -> Option<Self> {
        Self::of(REQUESTS * share, (1.0 / (RUNNING * share) - 1.0).max(0.0))
    }

    fn of(rate: f64, rest: f64) -> Option<Self> {
        let unit = Duration::try_from_secs_f64(1.0 / rate).ok()?;
        Some(Self { unit, rest, next: Instant::now() })
    }

    /// Waits until a call that costs so many units may go out.
    pub(super) async fn pass(&mut self, units: u32) {
        sleep_until(self.next).await;
        // What was not used is not saved up: a share of a quota is no burst of it.
        self.next = Instant::now() + self.unit * units;
    }

    /// A call has ended that ran so long.
    pub(super) fn ran(&mut self, time: Duration) {
        let rest = Duration::try_from_secs_f64(time.as_secs_f64() * self.rest).unwrap_or_default();
        self.next = self.next.max(Instant::now() + rest);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_keep_to_the_share() {
        let begun = Instant::now();
        let mut pace = ReadPace::graph(0.05).expect("some");
        for _ in 0..36 {
            pace.pass(OF_PAGE).await;
        }
        // 17.5 units a second; the first call waits for nothing. Timers round up.
        let waited = begun.elapsed().as_millis();
        assert!((4_000..4_100).contains(&waited), "{waited}");
        assert!(ReadPace::graph(0.0).is_none() && ReadPace::dataverse(0.0).is_none());
    }

    /// How long so many requests take that run so long each.
    async fn asked(share: f64, requests: u32, each: Duration) -> Duration {
        let begun = Instant::now();
        let mut pace = ReadPace::dataverse(share).expect("some");
        for _ in 0..requests {
            pace.pass(1).await;
            sleep(each).await;
            pace.ran(each);
        }
        pace.pass(1).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn slow_requests_are_fewer_so_that_they_run_no_longer_than_their_share() {
        // A tenth of 20 requests a second, and of 4 seconds a second.
        let quick = asked(0.1, 20, Duration::from_millis(1)).await.as_secs_f64();
        assert!((10.0..10.1).contains(&quick), "{quick}");
        let slow = asked(0.1, 6, Duration::from_secs(20)).await.as_secs_f64();
        assert!((300.0..300.1).contains(&slow), "{slow}");
        // From a quarter on, one request after another runs no longer than it may.
        let all = asked(0.5, 6, Duration::from_secs(20)).await.as_secs_f64();
        assert!((120.0..120.1).contains(&all), "{all}");
    }
}
