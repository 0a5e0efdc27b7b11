//! Tells of a clock that differs from those of the services: metric, warning, and a line in the log.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use servicebus::{
    clock,
    times::{ClockReading, TOLERATED, Times, side},
};
use tokio::time::Instant;

use super::{
    catalogue::Metrics,
    health::{Health, HealthFault},
    labels::{Service, Warning},
};

/// How often to compare.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was last told.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<Told>);

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    at: Option<Instant>,
    warned: bool,
}

impl Clocks {
    /// Compares the clocks if it is time to.
    pub(super) fn look(&self, times: &Times, metrics: &Metrics, health: &Health, now: Instant) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return;
        }
        told.at = Some(now);
        let now = ClockReading { instant: now, wall: clock::now() };
        let ahead = [
            (Service::Graph, times.reference.ahead(now)),
            (Service::ServiceBus, times.ahead_of_service_bus(now)),
        ];
        for (service, ahead) in ahead {
            metrics.clock_skew.of(service).set(ahead.map(|ahead| ahead.as_secs_f64()));
        }
        let fault = judge(&ahead);
        match &fault {
            Some(fault) if !told.warned => tracing::warn!("{}; {}", fault.text, fault.remedy),
            None if told.warned => {
                tracing::info!("the clock of this machine agrees with those of the services again");
            }
            _ => {}
        }
        told.warned = fault.is_some();
        health.warn(Warning::ClockSkew, fault);
    }
}

/// What is wrong with the clock, if it is far enough from one of the services'.
fn judge(ahead: &[(Service, Option<SignedDuration>)]) -> Option<HealthFault> {
    let name = |service| match service {
        Service::Graph => "graph",
        Service::ServiceBus => "service bus",
    };
    let far = ahead
        .iter()
        .filter_map(|(service, ahead)| Some((*service, ahead.filter(|ahead| ahead.abs() > TOLERATED)?)));
    let far: Vec<_> = far.map(|(service, ahead)| format!("{} {}", side(ahead), name(service))).collect();
    (!far.is_empty()).then(|| HealthFault {
        text: format!("the clock of this machine is {}", far.join(" and ")),
        remedy: "let the system set its clock by NTP; locks are kept all the same, but signatures, ages of messages \
                 and times in the log are wrong",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::observer::tests::observer;

    #[track_caller]
    fn check(graph: Option<i64>, bus: Option<i64>, expected: Option<&str>) {
        let of = |seconds: Option<i64>| seconds.map(SignedDuration::from_secs);
        let fault = judge(&[(Service::Graph, of(graph)), (Service::ServiceBus, of(bus))]);
        assert_eq!(fault.map(|fault| fault.text).as_deref(), expected);
    }

    #[test]
    fn a_clock_is_told_of_beyond_half_a_minute() {
        check(None, None, None);
        check(Some(30), Some(-30), None);
        check(Some(31), None, Some("the clock of this machine is 31s ahead of graph"));
        check(Some(1), Some(-7_200), Some("the clock of this machine is 2h behind service bus"));
        check(
            Some(90),
            Some(91),
            Some("the clock of this machine is 1m 30s ahead of graph and 1m 31s ahead of service bus"),
        );
    }

    #[test]
    fn metric_and_warning_follow_what_answers_tell() {
        let observer = observer();
        let (times, metrics, health) = (&observer.times, &observer.metrics, &observer.health);
        let (clocks, start) = (Clocks::default(), ClockReading::now());
        let skew = || metrics.clock_skew.of(Service::Graph).get();
        clocks.look(times, metrics, health, start.instant);
        assert_eq!((skew(), health.warnings(jiff::Timestamp::UNIX_EPOCH).len()), (None, 0));
        for _ in 0..3 {
            times.reference.told(start.wall + Duration::from_mins(10), start.instant, start);
        }
        clocks.look(times, metrics, health, start.instant + INTERVAL / 2);
        assert_eq!(skew(), None, "not yet looked at again");
        clocks.look(times, metrics, health, start.instant + INTERVAL);
        assert!(skew().is_some_and(|skew| (-601.0..=-600.0).contains(&skew)), "{:?}", skew());
        assert_eq!(health.warnings(jiff::Timestamp::UNIX_EPOCH)[0].warning, Warning::ClockSkew);
        for _ in 0..7 {
            times.reference.told(start.wall, start.instant, start);
        }
        clocks.look(times, metrics, health, start.instant + 2 * INTERVAL);
        assert_eq!(health.warnings(jiff::Timestamp::UNIX_EPOCH).len(), 0);
    }
}
