//! What is known of time elsewhere: the clocks of services, and how long a lock of the queue holds.
//!
//! The wall clock of this machine may be wrong by any amount, and services tell times by their own. So nothing here
//! is decided by comparing the two: lengths are measured with the monotonic clock, and the difference between the
//! clocks is itself something that is measured ([`ServiceClock`]), told (metric, warning) and allowed for
//! ([`Times::at_service_bus`]).

mod lock_length;
mod reading;
mod service_clock;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use self::lock_length::LockLength;
pub use self::{
    reading::ClockReading,
    service_clock::{ServiceClock, date},
};

/// Beyond this a difference of clocks is told: far more than a second that is cut off and a slow answer can make up,
/// far less than the five minutes at which tokens begin to be refused.
pub const TOLERATED: SignedDuration = SignedDuration::from_secs(30);

/// Beyond this a refused token is put down to the clock.
const TO_BLAME: SignedDuration = SignedDuration::from_mins(2);

/// What is known of time at the services that a process talks to.
#[derive(Debug, Default)]
pub struct Times {
    /// The clock of another service that dates its answers, for as long as Service Bus itself tells nothing.
    pub reference: ServiceClock,
    /// The clock of Service Bus, by its management interface.
    pub service_bus: ServiceClock,
    locks: LockLength,
}

impl Times {
    /// The queue's description tells how long a lock holds.
    pub fn lock_length_is(&self, length: Duration) {
        self.locks.is(length);
    }

    /// A message came under a lock.
    pub fn locked(&self, until: Timestamp, enqueued: Option<Timestamp>, at: Instant) {
        self.locks.locked(until, enqueued, at);
    }

    /// How long a lock holds from the moment it was taken or renewed, as far as is known; if nothing is, as long as
    /// the shortest that Service Bus has.
    #[must_use]
    pub fn lock_length(&self, now: ClockReading) -> Duration {
        self.locks.length(now.instant, || {
            let ahead = self.service_bus.ahead(now).or_else(|| self.reference.ahead(now))?;
            now.wall.checked_sub(ahead).ok()
        })
    }

    /// By how much this machine is ahead of Service Bus; negative if it is behind. Its management interface tells;
    /// where that is not asked, what the times of messages prove.
    #[must_use]
    pub fn ahead_of_service_bus(&self, now: ClockReading) -> Option<SignedDuration> {
        self.service_bus.ahead(now).or_else(|| self.locks.proven_ahead(now))
    }

    /// The time now by the clock of Service Bus, for what the two of us have to agree on: signatures, ages.
    #[must_use]
    pub fn at_service_bus(&self, now: ClockReading) -> Timestamp {
        self.by_service_bus(now.wall, now)
    }

    /// A time of our clock by that of Service Bus.
    #[must_use]
    pub fn by_service_bus(&self, time: Timestamp, now: ClockReading) -> Timestamp {
        corrected(time, self.ahead_of_service_bus(now).or_else(|| self.reference.ahead(now)))
    }

    /// The time now by the clock of that other service, for what it judges.
    #[must_use]
    pub fn at_reference(&self, now: ClockReading) -> Timestamp {
        corrected(now.wall, self.reference.ahead(now))
    }
}

/// Small differences are left alone: they matter to nobody, and the measure is good to a second only.
fn corrected(time: Timestamp, ahead: Option<SignedDuration>) -> Timestamp {
    match ahead {
        Some(ahead) if ahead.abs() > TOLERATED => time.checked_sub(ahead).unwrap_or(time),
        _ => time,
    }
}

/// A difference of clocks in words: `2h 3m behind`. A large one without its seconds, which dates do not tell exactly.
#[must_use]
pub fn side(ahead: SignedDuration) -> String {
    let word = if ahead.is_negative() { "behind" } else { "ahead of" };
    let distance = ahead.abs();
    let step = if distance < SignedDuration::from_mins(10) { 1 } else { 60 };
    let half = SignedDuration::from_millis(step * 500);
    let rounded = SignedDuration::from_secs((distance.saturating_add(half)).as_secs() / step * step);
    format!("{rounded:#} {word}")
}

/// The hint that belongs to a refused token, if the clock of this machine is to blame.
#[must_use]
pub fn blame(ahead: Option<SignedDuration>, service: &str) -> Option<String> {
    let ahead = ahead.filter(|ahead| ahead.abs() >= TO_BLAME)?;
    Some(format!(
        "the clock of this machine is {} that of {service}; let the system set it by NTP",
        side(ahead)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    /// A worker whose clock is off by this much, the time being that of the services.
    fn world(off: i64) -> (Timestamp, ClockReading) {
        let truth: Timestamp = "2026-03-02T08:00:00Z".parse().expect("a time");
        (truth, ClockReading { instant: Instant::now(), wall: truth + SignedDuration::from_secs(off) })
    }

    fn later(then: ClockReading, seconds: u64) -> ClockReading {
        let ClockReading { instant, wall } = then;
        ClockReading {
            instant: instant + Duration::from_secs(seconds),
            wall: wall + Duration::from_secs(seconds),
        }
    }

    /// The length that a worker takes locks for, with a clock that is off and messages that have waited.
    fn length(off: i64, lock: u64, waited: u64, tell: impl Fn(&Times, Timestamp, ClockReading)) -> u64 {
        let (truth, now) = world(off);
        let times = Times::default();
        tell(&times, truth, now);
        let enqueued = truth - Duration::from_secs(waited);
        times.locked(truth + Duration::from_secs(lock), Some(enqueued), now.instant);
        times.lock_length(now).as_secs()
    }

    /// Three answers a second apart, the last of them now.
    fn dated(clock: &ServiceClock, truth: Timestamp, now: ClockReading) {
        for before in [2, 1, 0].map(Duration::from_secs) {
            let then = ClockReading { instant: now.instant - before, wall: now.wall - before };
            clock.told(truth - before, then.instant, then);
        }
    }

    #[test]
    fn a_lock_has_its_length_whatever_the_clock_of_this_machine_says() {
        let offs = [-3 * HOUR, -2 * HOUR, -180, -45, -1, 0, 1, 45, 180, 2 * HOUR, 3 * HOUR];
        for (off, lock, waited) in offs
            .iter()
            .flat_map(|off| [5, 30, 60, 300].map(|lock| (*off, lock)))
            .flat_map(|(off, lock)| [0, 100, 86_400].map(|waited| (off, lock, waited)))
        {
            let case = format!("{off} s off, lock of {lock} s, waited {waited} s");
            let described =
                length(off, lock, waited, |times, _, _| times.lock_length_is(Duration::from_secs(lock)));
            assert_eq!(described, lock, "described: {case}");
            for service in ["service bus", "reference"] {
                let by_date = length(off, lock, waited, |times, truth, now| {
                    dated(
                        if service == "reference" { &times.reference } else { &times.service_bus },
                        truth,
                        now,
                    );
                });
                // To the second of the header, and never too long by more than that.
                assert!(
                    (lock.max(6) - 1..=lock + 1).contains(&by_date),
                    "{service} tells the date: {case}: {by_date}"
                );
            }
            assert_eq!(length(off, lock, waited, |_, _, _| {}), 5, "nothing known: {case}");
        }
    }

    #[test]
    fn what_a_fresh_message_proves_outdoes_a_description_that_is_old() {
        assert_eq!(length(0, 10, 0, |times, _, _| times.lock_length_is(Duration::from_mins(5))), 10);
    }

    #[test]
    fn the_date_of_a_service_that_cannot_be_true_makes_no_lock_longer() {
        for wrong in [-3 * HOUR, -400, 3 * HOUR] {
            let seen = length(0, 30, 86_400, |times, truth, now| {
                dated(&times.service_bus, truth + SignedDuration::from_secs(wrong), now);
            });
            assert_eq!(seen, 5, "{wrong} s");
        }
    }

    #[test]
    fn signatures_are_made_by_the_clock_of_who_judges_them() {
        for off in [-2 * HOUR, -31, 31, 2 * HOUR] {
            let (truth, now) = world(off);
            let times = Times::default();
            assert_eq!(
                (times.at_service_bus(now), times.at_reference(now)),
                (now.wall, now.wall),
                "nothing known"
            );
            dated(&times.reference, truth, now);
            for told in [times.at_service_bus(now), times.at_reference(now)] {
                assert!(told.duration_since(truth).abs() <= SignedDuration::from_secs(1), "{off}: {told}");
            }
        }
        let (truth, now) = world(10);
        let times = Times::default();
        dated(&times.reference, truth, now);
        assert_eq!(times.at_reference(now), now.wall, "close enough");
    }

    #[test]
    fn without_the_management_interface_messages_prove_what_they_can() {
        for (off, least, most) in
            [(-2 * HOUR, -7_201, -7_199), (-90, -91, -89), (2 * HOUR, 7_200 - 60, 7_200)]
        {
            let (truth, now) = world(off);
            let times = Times::default();
            times.locked(truth + Duration::from_mins(1), Some(truth), now.instant);
            let later = later(now, 10);
            let ahead = times.ahead_of_service_bus(later).expect("proven").as_secs();
            assert!((least..=most).contains(&ahead), "{off}: {ahead}");
        }
        // Within the length of a lock nothing is proven.
        let (truth, now) = world(20);
        let times = Times::default();
        times.locked(truth + Duration::from_mins(1), Some(truth - Duration::from_hours(5)), now.instant);
        assert_eq!(times.ahead_of_service_bus(now), None);
    }

    #[test]
    fn the_clock_is_blamed_only_if_it_is_far_off() {
        assert_eq!(blame(None, "entra"), None);
        assert_eq!(blame(Some(SignedDuration::from_secs(-100)), "entra"), None);
        assert_eq!(side(SignedDuration::from_millis(45_600)), "46s ahead of");
        assert_eq!(side(SignedDuration::from_millis(10_799_300)), "3h ahead of");
        assert_eq!(
            blame(Some(SignedDuration::from_secs(-7_380)), "entra").as_deref(),
            Some("the clock of this machine is 2h 3m behind that of entra; let the system set it by NTP")
        );
    }
}
