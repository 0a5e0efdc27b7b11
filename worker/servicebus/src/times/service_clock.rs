//! How far the clock of this machine is from that of a service, by the dates of its answers.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{
    HeaderMap,
    header::{AGE, DATE},
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use tokio::time::Instant;

use super::reading::ClockReading;

/// Answers that are remembered.
const KEPT: usize = 7;
/// So many have to agree before anything is believed: a proxy may answer once with the date of an old answer.
const ENOUGH: usize = 3;
/// Once enough is known, answers that follow each other faster tell nothing new.
const SPACING: Duration = Duration::from_secs(1);
/// After a longer wait it is not clear when within it the date was written.
const LONGEST_CALL: Duration = Duration::from_secs(10);
/// An older answer is none. Longer than a token lasts, so that a worker that only renews its token knows enough.
const MEMORY: Duration = Duration::from_hours(4);
/// A date has no fractions; on average half a second was cut off.
const CUT_OFF: SignedDuration = SignedDuration::from_millis(500);
/// How far the two clocks of this machine may drift apart before it is clear that one of them was set, or stood.
const STEP: SignedDuration = SignedDuration::from_secs(2);

/// The clock of a service, as its latest answers tell it.
#[derive(Debug, Default)]
pub struct ServiceClock(Mutex<VecDeque<Sample>>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: ClockReading,
    /// By how much this machine was ahead.
    ahead: SignedDuration,
}

impl ServiceClock {
    /// An answer came with these headers, which had been asked for at `asked`.
    pub fn answered(&self, headers: &HeaderMap, asked: Instant, now: ClockReading) {
        // An age says that the answer comes from a cache, and its date with it.
        if !self.wants(now.instant) || headers.contains_key(AGE) {
            return;
        }
        if let Some(date) = date(headers) {
            self.told(date, asked, now);
        }
    }

    /// The same with a date that was read.
    pub fn told(&self, date: Timestamp, asked: Instant, now: ClockReading) {
        let took = now.instant.saturating_duration_since(asked);
        if took > LONGEST_CALL {
            return;
        }
        // Written half-way between question and answer, as far as anybody can know.
        let half = SignedDuration::try_from(took / 2).unwrap_or_default();
        let ahead = now.wall.duration_since(date) - half - CUT_OFF;
        let mut samples = self.samples();
        samples.truncate(KEPT - 1);
        samples.push_front(Sample { at: now, ahead });
    }

    /// By how much this machine is ahead of the service, negative if it is behind; nothing while too few answers tell.
    #[must_use]
    pub fn ahead(&self, now: ClockReading) -> Option<SignedDuration> {
        let mut ahead: Vec<_> =
            self.samples().iter().filter(|sample| sample.holds(now)).map(|sample| sample.ahead).collect();
        ahead.sort_unstable();
        // The median, so that a few strange dates among many change nothing.
        (ahead.len() >= ENOUGH).then(|| ahead[ahead.len() / 2])
    }

    /// Whether another answer would tell anything new.
    fn wants(&self, now: Instant) -> bool {
        let samples = self.samples();
        let latest = samples.front().filter(|_| samples.len() >= ENOUGH);
        latest.is_none_or(|latest| now.saturating_duration_since(latest.at.instant) >= SPACING)
    }

    fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an answer was written, if it says so.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

impl Sample {
    /// Whether it still says something: the wall clock was not set since, nor did the machine sleep, after which its
    /// two clocks would not have gone the same way.
    fn holds(&self, now: ClockReading) -> bool {
        let passed = now.instant.saturating_duration_since(self.at.instant);
        let by_wall = now.wall.duration_since(self.at.wall);
        let drift = SignedDuration::try_from(passed / 1_000).unwrap_or_default();
        let apart = by_wall - SignedDuration::try_from(passed).unwrap_or_default();
        passed <= MEMORY && apart.abs() <= STEP + drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> ClockReading {
        ClockReading { instant: Instant::now(), wall: "2026-03-02T08:00:00Z".parse().expect("a time") }
    }

    fn after(start: ClockReading, seconds: u64) -> ClockReading {
        let passed = Duration::from_secs(seconds);
        ClockReading { instant: start.instant + passed, wall: start.wall + passed }
    }

    /// What is known after answers a minute apart, each dated so many seconds ahead of the wall clock.
    fn known(dates: &[i64]) -> Option<i64> {
        let (clock, start) = (ServiceClock::default(), start());
        let mut now = start;
        for (date, minute) in dates.iter().zip(0..) {
            now = after(start, 60 * minute);
            let date = now.wall + SignedDuration::from_secs(*date);
            // Half a second was cut off, as it is on average.
            now.wall += SignedDuration::from_millis(500);
            clock.told(date, now.instant, now);
        }
        clock.ahead(now).map(|ahead| ahead.as_secs())
    }

    #[test]
    fn what_several_answers_agree_on_is_believed() {
        assert_eq!(known(&[]), None);
        assert_eq!(known(&[40, 40]), None, "two are too few");
        assert_eq!(known(&[40, 40, 40]), Some(-40));
        assert_eq!(known(&[-40, -41, -39]), Some(40));
    }

    #[test]
    fn old_answers_of_a_proxy_change_nothing() {
        assert_eq!(known(&[0, -3_600, 0, 0, -7_200]), Some(0));
        assert_eq!(known(&[-3_600, 0, 0]), Some(0));
    }

    #[test]
    fn a_clock_that_is_set_right_makes_earlier_answers_worthless() {
        let (clock, start) = (ServiceClock::default(), start());
        for seconds in 0..3 {
            let now = after(start, seconds);
            clock.told(now.wall + Duration::from_hours(2), now.instant, now);
        }
        let kept = after(start, 60);
        assert_eq!(clock.ahead(kept).map(|ahead| ahead.as_hours()), Some(-2));
        let set = ClockReading { wall: kept.wall + Duration::from_hours(2), ..kept };
        assert_eq!(clock.ahead(set), None);
        assert_eq!(clock.ahead(after(start, 5 * 3_600)), None, "too old");
    }

    #[test]
    fn a_slow_answer_says_nothing_and_a_date_is_taken_for_the_middle_of_the_call() {
        let (clock, start) = (ServiceClock::default(), start());
        let now = after(start, 8);
        for _ in 0..3 {
            clock.told(start.wall + Duration::from_millis(3_500), start.instant, now);
        }
        assert_eq!(clock.ahead(now), Some(SignedDuration::ZERO));
        let slow = ServiceClock::default();
        for _ in 0..3 {
            slow.told(start.wall, start.instant, after(start, 11));
        }
        assert_eq!(slow.ahead(after(start, 11)), None);
    }

    #[test]
    fn a_date_is_read_as_http_writes_it_and_that_of_a_cache_is_none() {
        let ahead = |headers: &[(&'static str, &'static str)]| {
            let (clock, now) = (ServiceClock::default(), start());
            let named = |(name, value): &(&'static str, &'static str)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            };
            let headers: HeaderMap = headers.iter().map(named).collect();
            (0..3).for_each(|_| clock.answered(&headers, now.instant, now));
            clock.ahead(now).map(|ahead| ahead.as_millis())
        };
        let date = ("date", "Mon, 02 Mar 2026 07:59:00 GMT");
        assert_eq!(ahead(&[date]), Some(59_500));
        assert_eq!(ahead(&[date, ("age", "60")]), None);
        assert_eq!(ahead(&[("date", "yesterday")]), None);
        assert_eq!(ahead(&[]), None);
    }
}
