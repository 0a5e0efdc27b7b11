//! The ladder of waits between tries: each up to twice as long as the one before, drawn by chance so that many waiters
//! do not come back together.

use std::time::Duration;

use crate::class::Class;

/// Waits between tries, and how many tries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    first: Duration,
    longest: Duration,
    /// The first one counted; `None` is without end.
    tries: Option<u32>,
    jitter: Jitter,
}

/// Which part of a wait is left to chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jitter {
    /// All of it.
    Full,
    /// The second half: coming back at once would only fail again, or postpone recovery.
    Equal,
}

/// The waits cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first wait ({first:?}) must be above zero and not above the longest one ({longest:?})")]
pub struct Error {
    first: Duration,
    longest: Duration,
}

impl Ladder {
    /// Waits from `first`, doubling up to `longest`, all of each left to chance, without end.
    pub const fn new(first: Duration, longest: Duration) -> Result<Self, Error> {
        if first.is_zero() || first.as_nanos() > longest.as_nanos() {
            return Err(Error { first, longest });
        }
        Ok(Self { first, longest, tries: None, jitter: Jitter::Full })
    }

    /// The same for waits that stand in the code.
    ///
    /// # Panics
    ///
    /// If they cannot work; as a constant such a ladder does not compile.
    #[must_use]
    pub const fn fixed(first: Duration, longest: Duration) -> Self {
        match Self::new(first, longest) {
            Ok(ladder) => ladder,
            Err(_) => panic!("the first wait must be above zero and not above the longest one"),
        }
    }

    /// The same with so many tries, the first one counted.
    #[must_use]
    pub const fn with_tries(self, tries: u32) -> Self {
        Self { tries: Some(tries), ..self }
    }

    /// The same with only the second half of each wait left to chance.
    #[must_use]
    pub const fn with_equal_jitter(self) -> Self {
        Self { jitter: Jitter::Equal, ..self }
    }

    /// How many tries there are, the first one counted; `None` without end.
    #[must_use]
    pub const fn tries(&self) -> Option<u32> {
        self.tries
    }

    /// Whether so many failed tries were all there are.
    #[must_use]
    pub fn is_exhausted(&self, failures: u32) -> bool {
        self.tries.is_some_and(|tries| failures >= tries)
    }

    /// The longest wait after so many failed tries.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
        let wait = doubled.and_then(|times| self.first.checked_mul(times));
        wait.map_or(self.longest, |wait| wait.min(self.longest))
    }

    /// The wait after so many failed tries. `jitter` is drawn evenly from 0 to 1.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        let jitter = jitter.clamp(0.0, 1.0);
        self.ceiling(failures).mul_f64(match self.jitter {
            Jitter::Full => jitter,
            Jitter::Equal => 0.5 + jitter / 2.0,
        })
    }

    /// All waits between its tries, with jitter that is drawn evenly from 0 to 1. Ended, it means to give up.
    pub fn waits(self, mut jitter: impl FnMut() -> f64) -> impl Iterator<Item = Duration> {
        (1_u32..)
            .take_while(move |failures| !self.is_exhausted(*failures))
            .map(move |n| self.wait(n, jitter()))
    }

    /// All waits together, each as long as it can be; `None` without end.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.tries.map(|_| self.waits(|| 1.0).sum())
    }
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Give up.
    Never,
    /// Try again when the ladder says so.
    Later,
    /// Try again after that time.
    After(Duration),
}

impl From<Class> for Again {
    fn from(class: Class) -> Self {
        match class {
            Class::Transient | Class::Throttled { retry_after: None } => Self::Later,
            Class::Throttled { retry_after: Some(wait) } => Self::After(wait),
            Class::Permanent | Class::Installation => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ladder() -> Ladder {
        Ladder::fixed(Duration::from_millis(100), SECOND)
    }

    fn longest(ladder: Ladder, count: usize) -> Vec<u128> {
        ladder.waits(|| 1.0).take(count).map(|wait| wait.as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!(longest(ladder(), 6), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(ladder().wait(u32::MAX, 1.0), SECOND, "no number of failures overflows");
    }

    #[test]
    fn it_ends_with_the_last_try() {
        assert_eq!(longest(ladder().with_tries(4), 9), [100, 200, 400]);
        assert_eq!((ladder().with_tries(4).longest(), ladder().longest()), (Some(SECOND * 7 / 10), None));
        assert_eq!(longest(ladder().with_tries(1), 9), [0; 0]);
        assert!(ladder().with_tries(4).is_exhausted(4) && !ladder().is_exhausted(u32::MAX));
    }

    #[test]
    fn of_equal_jitter_half_of_a_wait_is_certain() {
        let ladder = ladder().with_equal_jitter();
        let waits = [0.0, 0.5, 1.0].map(|jitter| ladder.wait(1, jitter).as_millis());
        assert_eq!(waits, [50, 75, 100]);
    }

    #[test]
    fn waits_that_cannot_work_are_refused() {
        assert!(Ladder::new(Duration::ZERO, SECOND).is_err());
        assert!(Ladder::new(SECOND * 2, SECOND).is_err());
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_bounds(failures in 0_u32..100, jitter in 0.0_f64..=1.0) {
            prop_assert!(ladder().wait(failures, jitter) <= ladder().ceiling(failures));
            prop_assert!(ladder().ceiling(failures) <= SECOND);
        }
    }
}
