//! What a run waits for, why, and until when: nobody should watch a bar that stands still without a word.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::duration::exact;

/// How long so many messages take at this rate; unknown where it is longer than anybody plans.
pub(super) fn rest(messages: u64, rate: f64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate for a person")]
    let seconds = messages as f64 / rate;
    Duration::try_from_secs_f64(seconds.ceil()).ok()
}

pub(super) fn for_canaries(patience: Duration) -> String {
    format!(
        "for what becomes of the canaries, {} at most; a worker writes what was put back when nothing live is left to write",
        exact(patience)
    )
}

pub(super) fn for_outcomes(patience: Duration) -> String {
    format!("for what becomes of the last ones, {} at most", exact(patience))
}

/// So many messages of the set are there, and nobody gets them.
pub(super) fn for_locks(missing: usize, lock: Duration, patience: Duration, now: Timestamp) -> String {
    let end =
        now.checked_add(SignedDuration::try_from(patience).unwrap_or(SignedDuration::ZERO)).unwrap_or(now);
    let messages = if missing == 1 { "1 message".to_owned() } else { format!("{missing} messages") };
    format!(
        "until {end:.0} for {messages} that somebody else holds under lock: another replay, or one that was killed and \
         whose locks lapse by themselves, {} after they were taken",
        exact(Duration::from_secs(lock.as_secs()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_the_rate_says() {
        assert_eq!(rest(100, 10.0), Some(Duration::from_secs(10)));
        assert_eq!(rest(1, 10.0), Some(Duration::from_secs(1)));
        assert_eq!(rest(0, 10.0), Some(Duration::ZERO));
        assert_eq!(rest(u64::MAX, 1e-9), None);
    }

    #[test]
    fn locks_of_somebody_else_are_told_with_the_time_until_which_they_are_waited_for() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let told = for_locks(1, Duration::from_secs(30), Duration::from_mins(2), now);
        assert!(told.starts_with("until 2027-01-15T08:02:00Z for 1 message that"), "{told}");
        assert!(told.ends_with("30s after they were taken"), "{told}");
    }
}
