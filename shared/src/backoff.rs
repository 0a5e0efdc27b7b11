//! How long to wait before the next try: exponential, with full jitter so that many waiters do not come
//! back together.

use std::time::Duration;

/// Delays that double from a smallest to a largest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
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
    pub const fn new(min: Duration, max: Duration) -> Result<Self, Error> {
        if min.is_zero() || min.as_nanos() > max.as_nanos() {
            return Err(Error { min, max });
        }
        Ok(Self { min, max })
    }

    /// The same for delays that stand in the code: those that cannot work do not compile, where it is a constant.
    pub(crate) const fn fixed(min: Duration, max: Duration) -> Self {
        match Self::new(min, max) {
            Ok(backoff) => backoff,
            Err(_) => panic!("the first delay must be above zero and not above the longest one"),
        }
    }

    /// The delay after so many failed tries, before jitter.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doubled =
            1_u32.checked_shl(failures.saturating_sub(1)).and_then(|times| self.min.checked_mul(times));
        doubled.map_or(self.max, |delay| delay.min(self.max))
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
