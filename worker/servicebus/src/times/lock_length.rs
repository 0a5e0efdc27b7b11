//! How long a lock of the queue holds.
//!
//! Service Bus tells until when, by its own clock, and never for how long. So the length is what the queue's
//! description says, or what is left until then by the clock of the service as far as that is known, and never what
//! is left by the clock of this machine.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::reading::ClockReading;

/// The shortest lock that a queue can have. What is not known is taken for this: renewing too often costs a few
/// requests, too late costs the lock.
const SHORTEST: Duration = Duration::from_secs(5);
/// The longest.
const LONGEST: Duration = Duration::from_mins(5);
/// The service may be wrong by less than this about itself: dates have no fractions.
const SLACK: Duration = Duration::from_secs(2);

/// What is known of the length of the queue's locks.
#[derive(Debug, Default)]
pub(super) struct LockLength(Mutex<Known>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// What the queue's description says.
    described: Option<Duration>,
    /// A moment at which the clock of the service showed this or more: a message came that was enqueued then.
    reached: Option<Mark>,
    /// The end of the latest lock, and when it was taken.
    latest: Option<Mark>,
}

/// A time by the clock of the service, counted from 1970, and a moment that belongs to it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time: SignedDuration,
    at: Instant,
}

impl LockLength {
    /// The description of the queue says so.
    pub(super) fn is(&self, length: Duration) {
        self.known().described = Some(length);
    }

    /// A message came that was enqueued then, and is locked until then.
    pub(super) fn locked(&self, until: Timestamp, enqueued: Option<Timestamp>, at: Instant) {
        let mut known = self.known();
        known.latest = Some(Mark { time: until.as_duration(), at });
        if let Some(time) = enqueued.map(Timestamp::as_duration)
            && known.reached.is_none_or(|reached| reached.at_least(at) < time)
        {
            known.reached = Some(Mark { time, at });
        }
    }

    /// The length; `dated` tells the time by the clock of the service now, if that is known.
    pub(super) fn length(&self, now: Instant, dated: impl FnOnce() -> Option<Timestamp>) -> Duration {
        let known = *self.known();
        let length = known.described.or_else(|| known.by_date(dated()?, now)).unwrap_or(SHORTEST);
        known.most().map_or(length, |most| length.min(most))
    }

    /// By how much this machine is ahead for certain, negative if it is behind; nothing if the times of messages
    /// allow that its clock is right. Ahead, it is by up to the length of a lock more.
    pub(super) fn proven_ahead(&self, now: ClockReading) -> Option<SignedDuration> {
        let known = *self.known();
        let (reached, latest, wall) = (known.reached?, known.latest?, now.wall.as_duration());
        let earliest = reached.at_least(now.instant);
        // The lock was taken no later than its shortest length before its end.
        let passed = now.instant.saturating_duration_since(latest.at);
        let taken = latest.time.saturating_sub(signed(known.described.unwrap_or(SHORTEST)));
        let latest = taken.saturating_add(signed(longer(passed)));
        let bound = if wall < earliest { Some(earliest) } else { (wall > latest).then_some(latest) };
        bound.map(|bound| wall.saturating_sub(bound))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What is left of the latest lock at the moment it was taken, by the date of the service now.
    fn by_date(&self, dated: Timestamp, now: Instant) -> Option<Duration> {
        let latest = self.latest?;
        let taken = dated.as_duration().saturating_sub(signed(now.saturating_duration_since(latest.at)));
        let length = Duration::try_from(latest.time.saturating_sub(taken)).ok()?;
        // What no queue can have shows that the date is of no use.
        (length <= LONGEST + SLACK).then(|| length.clamp(SHORTEST, LONGEST))
    }

    /// No lock is longer than from a time that had come when it was taken until its end.
    fn most(&self) -> Option<Duration> {
        let (latest, reached) = (self.latest?, self.reached?);
        Duration::try_from(latest.time.saturating_sub(reached.at_least(latest.at))).ok()
    }
}

impl Mark {
    /// What the clock of the service shows at least at another moment, even if ours runs a thousandth too fast.
    fn at_least(self, moment: Instant) -> SignedDuration {
        let before = self.at.saturating_duration_since(moment);
        let passed = moment.saturating_duration_since(self.at);
        self.time.saturating_sub(signed(longer(before))).saturating_add(signed(passed / 1_000 * 999))
    }
}

/// A time as the service may have measured it, if our clock runs a thousandth too slow.
fn longer(time: Duration) -> Duration {
    time + time / 1_000
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes in whatever order, with a description that is true or none at all: the length is never more
        /// than the lock's, so that a renewal at half of it is never too late.
        #[test]
        fn a_lock_is_never_taken_for_longer_than_it_is_if_what_is_told_is_true(
            lock in 5_u64..=300,
            described in any::<bool>(),
            messages in prop::collection::vec((0_u64..600, 0_u64..100_000), 1..20),
        ) {
            let (start, truth) = (Instant::now(), Timestamp::from_second(1_800_000_000).expect("in range"));
            let lock = Duration::from_secs(lock);
            let known = LockLength::default();
            if described {
                known.is(lock);
            }
            let mut passed = Duration::ZERO;
            for (after, waited) in messages {
                passed += Duration::from_secs(after);
                let now = truth + passed;
                known.locked(now + lock, Some(now - Duration::from_secs(waited)), start + passed);
                let length = known.length(start + passed, || None);
                prop_assert!(length <= lock, "{length:?} of {lock:?}");
                prop_assert!(length >= SHORTEST, "{length:?} of {lock:?}");
                let right = ClockReading { instant: start + passed, wall: now };
                prop_assert_eq!(known.proven_ahead(right), None);
            }
        }
    }

    #[test]
    fn a_shorter_lock_than_any_queue_has_is_believed_if_a_message_proves_it() {
        let (known, now) = (LockLength::default(), Instant::now());
        let time = Timestamp::from_second(1_800_000_000).expect("in range");
        known.locked(time + Duration::from_secs(1), Some(time), now);
        assert_eq!(known.length(now, || None), Duration::from_secs(1));
    }
}
