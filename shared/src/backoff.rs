//! How long to wait before the next try: exponential, with full jitter so that many waiters do not come
//! back together.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Delays that double from a smallest to a largest one.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    shape: ExponentialBuilder,
}

/// The delays cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first delay ({min:?}) must be above zero and not above the longest one ({max:?})")]
pub struct Error {
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// Delays from `min`, doubling up to `max`.
    pub fn new(min: Duration, max: Duration) -> Result<Self, Error> {
        if min.is_zero() || min > max {
            return Err(Error { min, max });
        }
        let shape = ExponentialBuilder::new()
            .with_min_delay(min)
            .with_max_delay(max)
            .with_factor(2.0)
            .without_max_times();
        Ok(Self { shape })
    }

    /// The delay after so many failed tries, before jitter.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        // The sequence is constant once it has reached its maximum, so there is no need to walk further.
        let steps = usize::try_from(failures.clamp(1, 64) - 1).unwrap_or(usize::MAX);
        self.shape.build().nth(steps).unwrap_or_default()
    }

    /// The delay after so many failed tries. `share` is drawn evenly from 0 to 1.
    #[must_use]
    pub fn delay(&self, failures: u32, share: f64) -> Duration {
        self.ceiling(failures).mul_f64(share.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_longest_delay() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).expect("valid");
        let ceilings: Vec<_> = (1..=6).map(|n| backoff.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn delays_that_cannot_work_are_refused() {
        assert!(Backoff::new(Duration::ZERO, Duration::from_secs(1)).is_err());
        assert!(Backoff::new(Duration::from_secs(2), Duration::from_secs(1)).is_err());
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(failures in 0_u32..100, share in 0.0_f64..=1.0) {
            let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(30)).expect("valid");
            prop_assert!(backoff.delay(failures, share) <= backoff.ceiling(failures));
            prop_assert!(backoff.ceiling(failures) <= Duration::from_secs(30));
        }
    }
}
