//! How patient a lease is.

use std::time::Duration;

use crate::retry::Ladder;

/// Times of a lease. They depend on each other, and on what other replicas take them for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePolicy {
    /// How often a standby asks; a quarter more or less, by chance.
    pub ask: Duration,
    /// No two attaches are nearer to each other than this, whatever ends the links between them.
    pub again: Duration,
    /// Waits while the installation refuses.
    pub refused: Ladder,
    /// How often a holder renews.
    pub renew_every: Duration,
    /// How long the shell waits for an answer; later ones count as none.
    pub answer_within: Duration,
    /// How long after an answered renewal was sent writes may still be started.
    pub sure: Duration,
    /// How long after that same moment the lease is given up.
    pub lost: Duration,
    /// How long a successor waits from its grant if nobody said goodbye.
    pub quiet: Duration,
    /// Nobody waits longer for a call to Graph. For so long after the quiet time, writes of a predecessor may still
    /// take effect.
    pub calls_end_within: Duration,
    /// Without a sign of life for so long the lease is neither renewed nor asked for.
    pub alive_within: Duration,
    /// A holder that cannot write for so long lets another one try.
    pub yield_after: Duration,
    /// How long it leaves the lease to others.
    pub yield_for: Duration,
    /// How often it does so at most.
    pub yield_every: Duration,
    /// How often the record is rewritten for a rate that fell, at most.
    pub rewrite_every: Duration,
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            ask: Duration::from_secs(2),
            again: Duration::from_millis(500),
            refused: Ladder::fixed(Duration::from_secs(4), Duration::from_mins(1)).with_equal_jitter(),
            // Two misses fit before doubt.
            renew_every: Duration::from_secs(3),
            answer_within: Duration::from_secs(3),
            sure: Duration::from_secs(10),
            // Shorter than the lock of the session (30 s), so that a holder that only doubts keeps it.
            lost: Duration::from_secs(20),
            // `sure` by a clock that is 1 % slow, measured by one that is 1 % fast, is 10.202 s.
            quiet: Duration::from_millis(10_250),
            calls_end_within: Duration::from_secs(30),
            alive_within: Duration::from_secs(10),
            yield_after: Duration::from_mins(2),
            yield_for: Duration::from_mins(1),
            yield_every: Duration::from_mins(10),
            rewrite_every: Duration::from_mins(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fit_each_other_even_if_one_clock_is_slow_and_another_fast() {
        let policy = LeasePolicy::default();
        assert!(policy.quiet.as_secs_f64() / 1.01 > policy.sure.as_secs_f64() / 0.99);
        // Two requests without an answer, and a third that is answered late.
        assert!(policy.renew_every.max(policy.answer_within) * 3 < policy.sure);
        assert!(policy.sure < policy.lost && policy.lost < Duration::from_secs(30));
    }
}
