//! A share of what Graph lets an app read in a tenant.
//!
//! Source: Microsoft's "Microsoft Graph service-specific throttling limits": an app may use 3,500 resource units in 10 s in
//! the smallest tenants and 8,000 in the largest ones. Nobody tells the size of a tenant, so the smallest counts.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::operate::replay::Share;

/// Resource units of a second in a small tenant.
const UNITS: f64 = 350.0;
/// Units of a page of users. A selection makes it cheaper by one, which is not counted on.
pub(super) const OF_PAGE: u32 = 2;
/// Units of one user, or of a question who is meant.
pub(super) const OF_LOOK: u32 = 2;

/// Lets calls pass no faster than that.
#[derive(Debug)]
pub(crate) struct ReadPace {
    unit: Duration,
    next: Instant,
}

impl ReadPace {
    /// This share of what an app may read; `None` if it is none at all.
    pub(crate) fn new(share: Share) -> Option<Self> {
        let unit = Duration::try_from_secs_f64(1.0 / (UNITS * share.fraction())).ok()?;
        Some(Self { unit, next: Instant::now() })
    }

    /// Waits until a call that costs so many units may go out.
    pub(super) async fn pass(&mut self, units: u32) {
        sleep_until(self.next).await;
        // What was not used is not saved up: a share of a quota is no burst of it.
        self.next = Instant::now() + self.unit * units;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_keep_to_the_share() {
        let begun = Instant::now();
        let mut pace = ReadPace::new("5%".parse().expect("a share")).expect("some");
        for _ in 0..36 {
            pace.pass(OF_PAGE).await;
        }
        // 17.5 units a second; the first call waits for nothing.
        assert_eq!(begun.elapsed().as_millis() / 10, 400);
        assert!(ReadPace::new("0%".parse().expect("a share")).is_none());
    }
}
