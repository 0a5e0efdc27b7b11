//! A line a minute while the worker is not ready: a log that is silent says that all is well.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::health::{Check, HealthFault, Phase};

/// Time between two lines, and before the first: what begins and ends within it has lines of its own.
const EVERY: Duration = Duration::from_mins(1);
/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// When it was looked and told last.
#[derive(Debug, Default)]
pub(super) struct UnreadyLog(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    looked: Option<Instant>,
    /// Since when it is not ready, or when that was told last.
    told: Option<Instant>,
}

impl UnreadyLog {
    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK);
        if due {
            told.looked = Some(now);
        }
        due
    }

    /// Takes in what keeps the worker from being ready, and says so if it is time.
    pub(super) fn look(&self, checks: &[Check], phase: Phase, (now, wall): (Instant, Timestamp)) {
        let faults = || checks.iter().filter_map(|check| Some((check, check.fault.as_ref()?)));
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if phase != Phase::Running || faults().next().is_none() {
            told.told = None;
            return;
        }
        if now.saturating_duration_since(*told.told.get_or_insert(now)) < EVERY {
            return;
        }
        told.told = Some(now);
        for (Check { name, since, next_try, .. }, HealthFault { text, remedy }) in faults() {
            let [since_text, next_try] = [since, next_try].map(|time| time.map(|time| format!("{time:.0}")));
            let minutes = since.map_or(0, |since| wall.duration_since(since).as_mins());
            tracing::warn!(
                check = *name,
                since = since_text,
                next_try,
                minutes,
                "not ready for {minutes} min: {text}; what to do: {remedy}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &UnreadyLog) -> Option<Instant> {
        log.0.lock().expect("whole").told
    }

    #[test]
    fn it_is_said_once_a_minute_and_not_at_once() {
        let (log, start) = (UnreadyLog::default(), Instant::now());
        let check = |wrong: bool| {
            let fault = wrong.then(|| HealthFault { text: "away".into(), remedy: "wait" });
            [Check { name: "broker", fault, since: None, next_try: None }]
        };
        let look = |wrong, second| {
            let now = start + Duration::from_secs(second);
            log.look(&check(wrong), Phase::Running, (now, Timestamp::UNIX_EPOCH));
            told(&log).map(|told| (told - start).as_secs())
        };
        assert_eq!(look(true, 0), Some(0));
        assert_eq!(look(true, 59), Some(0));
        assert_eq!(look(true, 60), Some(60));
        assert_eq!(look(true, 119), Some(60));
        assert_eq!(look(false, 120), None);
        assert_eq!(look(true, 121), Some(121), "another time, it takes another minute");
        log.look(&check(true), Phase::Draining, (start, Timestamp::UNIX_EPOCH));
        assert_eq!(told(&log), None, "who stops is not ready, and that is right");
        assert!(log.is_due(start) && !log.is_due(start) && log.is_due(start + LOOK));
    }
}
