//! How soon to read again: slowly, never in step with other replicas, and slower still when nothing happens or the
//! service has enough.

use std::time::Duration;

use super::{BacklogReading, UnknownKind};

/// The longest wait that throttling leads to, whatever the service asks for.
const LONGEST: Duration = Duration::from_mins(10);
/// How far a quiet queue, or one that cannot be read, stretches the wait.
const STRETCH: u32 = 4;

/// The pace of reading.
#[derive(Clone, Debug)]
pub struct PollInterval {
    usual: Duration,
    wait: Duration,
    last: Option<[Option<u64>; 3]>,
}

impl PollInterval {
    /// A pace of one reading in `usual` while the queue is busy.
    #[must_use]
    pub fn new(usual: Duration) -> Self {
        Self { usual, wait: usual, last: None }
    }

    /// The wait before the first reading, so that replicas that start together do not ask together. `share` is
    /// drawn evenly from 0 to 1.
    #[must_use]
    pub fn first(&self, share: f64) -> Duration {
        (self.usual / 6).mul_f64(share.clamp(0.0, 1.0))
    }

    /// The wait after a reading, drawn from the quarter below and above what is due.
    pub fn after(&mut self, reading: &BacklogReading, share: f64) -> Duration {
        let (stretched, quiet) = (self.usual * STRETCH, self.is_quiet(reading));
        self.wait = match &reading.counts {
            Ok(_) if quiet => (self.wait * 3 / 2).clamp(self.usual, stretched),
            Ok(_) => self.usual,
            Err(unknown) => match unknown.kind {
                UnknownKind::Throttled { retry_after } => {
                    (self.wait * 2).max(retry_after.unwrap_or_default()).min(LONGEST.max(self.usual))
                }
                UnknownKind::Contradicted => (self.wait * 2).min(LONGEST.max(self.usual)),
                UnknownKind::Failed => (self.wait * 3 / 2).min(stretched),
            },
        };
        self.wait.mul_f64(0.75 + 0.5 * share.clamp(0.0, 1.0))
    }

    /// Whether the counts are what they were.
    fn is_quiet(&mut self, reading: &BacklogReading) -> bool {
        let counts = reading.counts.as_ref().ok();
        let now = counts.map(|counts| [counts.active, counts.dead_letter, counts.scheduled]);
        let quiet = now.is_some() && now == self.last;
        self.last = now;
        quiet
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use servicebus::QueueCounts;

    use super::*;
    use crate::operate::backlog::{Oldest, Reasons, Unknown};

    const USUAL: Duration = Duration::from_secs(30);
    const EVEN: f64 = 0.5;

    fn reading(counts: Result<QueueCounts, Unknown>) -> BacklogReading {
        BacklogReading {
            at: Timestamp::UNIX_EPOCH,
            counts,
            oldest: Oldest::Unknown,
            reasons: Reasons::default(),
        }
    }

    fn known(active: u64) -> BacklogReading {
        reading(Ok(QueueCounts { active: Some(active), ..QueueCounts::default() }))
    }

    fn unknown(kind: UnknownKind) -> BacklogReading {
        reading(Err(Unknown { why: "because".into(), kind }))
    }

    fn seconds(waits: impl IntoIterator<Item = Duration>) -> Vec<u64> {
        waits.into_iter().map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn a_quiet_queue_is_read_less_and_less_until_something_happens() {
        let mut pace = PollInterval::new(USUAL);
        let waits = [1, 1, 1, 1, 1, 1, 2].map(|active| pace.after(&known(active), EVEN));
        assert_eq!(seconds(waits), [30, 45, 67, 101, 120, 120, 30]);
    }

    #[test]
    fn throttling_doubles_the_wait_and_heeds_what_the_service_asks_for() {
        let mut pace = PollInterval::new(USUAL);
        let throttled = |seconds: Option<u64>| {
            unknown(UnknownKind::Throttled { retry_after: seconds.map(Duration::from_secs) })
        };
        let waits = [None, Some(300), None, None].map(|asked| pace.after(&throttled(asked), EVEN));
        assert_eq!(seconds(waits), [60, 300, 600, 600]);
        assert_eq!(pace.after(&known(1), EVEN), USUAL);
    }

    #[test]
    fn a_service_that_is_away_is_asked_again_before_long() {
        let mut pace = PollInterval::new(USUAL);
        let waits = [(); 6].map(|()| pace.after(&unknown(UnknownKind::Failed), EVEN));
        assert_eq!(seconds(waits), [45, 67, 101, 120, 120, 120]);
    }

    fn any_reading() -> impl Strategy<Value = BacklogReading> {
        prop_oneof![
            (0..3_u64).prop_map(known),
            Just(unknown(UnknownKind::Failed)),
            Just(unknown(UnknownKind::Contradicted)),
            proptest::option::of(0..100_000_u64).prop_map(|seconds| {
                unknown(UnknownKind::Throttled { retry_after: seconds.map(Duration::from_secs) })
            }),
        ]
    }

    proptest! {
        #[test]
        fn the_wait_is_never_much_shorter_than_usual_nor_longer_than_allowed(
            usual in 1..3_600_u64, steps in prop::collection::vec((any_reading(), 0.0..=1.0), 1..50),
        ) {
            let usual = Duration::from_secs(usual);
            let mut pace = PollInterval::new(usual);
            prop_assert!(pace.first(1.0) <= usual);
            let most = LONGEST.max(usual * STRETCH).mul_f64(1.26);
            for (reading, share) in steps {
                let wait = pace.after(&reading, share);
                prop_assert!(wait >= usual.mul_f64(0.74) && wait <= most, "{wait:?}");
            }
        }
    }
}
