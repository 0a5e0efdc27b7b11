//! How long to wait before the next attempt to reach the service.

use std::time::Duration;

/// Exponential growth with full jitter: each delay is drawn between zero and a bound that doubles, so that
/// replicas which lost the service together do not come back together.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    attempt: u32,
}

impl Backoff {
    /// Bounds from `first` up to `longest`.
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempt: 0 }
    }

    /// Begins again at the first bound.
    pub(super) const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next delay; `chance` is drawn evenly from 0 up to but not including 1.
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        let bound = self.first.saturating_mul(1 << self.attempt.min(20)).min(self.longest);
        self.attempt = self.attempt.saturating_add(1);
        bound.mul_f64(chance.clamp(0.0, 1.0))
    }

    /// The next delay by chance.
    pub(super) fn draw(&mut self) -> Duration {
        self.next(rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let bounds: Vec<_> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5).as_millis(), 50);
    }

    #[test]
    fn no_number_of_attempts_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        backoff.attempt = u32::MAX;
        assert_eq!(backoff.next(1.0), Duration::from_mins(1));
    }

    proptest::proptest! {
        #[test]
        fn every_delay_lies_within_its_bound(attempt in 0_u32..100, chance in 0.0_f64..1.0) {
            let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(30));
            backoff.attempt = attempt;
            proptest::prop_assert!(backoff.next(chance) <= Duration::from_secs(30));
        }
    }
}
