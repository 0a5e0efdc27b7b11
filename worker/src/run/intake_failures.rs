//! What is told while no messages can be received: each of the first tries in a line, then one line a minute.

use std::{sync::Arc, time::Duration};

use shared::reason::chain;
use tokio::time::Instant;

use crate::{
    settings::check::{Advice, EntityUse},
    telemetry::{Observer, beginning::Gatekeeper, health::HealthFault},
};

/// As many tries in a row are told one by one.
const FIRST: u32 = 3;
/// Time between two lines afterwards.
const PAUSE: Duration = Duration::from_mins(1);

/// Failures to receive.
pub(super) struct IntakeFailures {
    intake: EntityUse,
    observer: Arc<Observer>,
    pace: LogPace,
}

/// When it is time for another line.
#[derive(Debug, Default)]
struct LogPace {
    /// Failures in a row.
    count: u32,
    /// The latest of them, and when it was told.
    last: Option<(Instant, Instant)>,
}

impl IntakeFailures {
    /// None yet.
    pub(super) fn new(intake: EntityUse, observer: Arc<Observer>) -> Self {
        Self { intake, observer, pace: LogPace::default() }
    }

    /// Messages came.
    pub(super) fn over(&mut self) {
        self.pace = LogPace::default();
    }

    /// One more.
    pub(super) fn tell(&mut self, error: &servicebus::Error, now: Instant) {
        let advice = Advice::of(error, &self.intake);
        let remedy =
            if advice.remedy.is_empty() { "the worker tries again by itself" } else { advice.remedy };
        self.observer.health.no_intake(HealthFault { text: advice.what.clone(), remedy });
        let beginning = &self.observer.beginning;
        if self.intake.needs_other_settings(error) {
            if beginning.refused(Gatekeeper::Queue, &advice.to_string()) {
                return;
            }
        } else {
            beginning.failed(Gatekeeper::Queue);
        }
        let Some(tries) = self.pace.due(now) else { return };
        let error = chain(error);
        if advice.is_refusal {
            tracing::warn!(error, tries, "service bus refuses the worker: {advice}; trying again");
        } else {
            tracing::warn!(error, tries, "service bus is away: {advice}; trying again");
        }
    }
}

impl LogPace {
    /// How many failures there were in a row, if it is to be told.
    fn due(&mut self, now: Instant) -> Option<u32> {
        // After a quiet minute it is another story.
        let told = self.last.filter(|(latest, _)| now - *latest <= PAUSE).map(|(_, told)| told);
        self.count = if told.is_some() { self.count + 1 } else { 1 };
        let is_due = self.count <= FIRST || told.is_none_or(|told| now - told >= PAUSE);
        self.last = Some((now, if is_due { now } else { told.unwrap_or(now) }));
        is_due.then_some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tries_are_told_and_then_one_a_minute() {
        let (mut pace, start) = (LogPace::default(), Instant::now());
        let told: Vec<_> =
            (0..200).filter(|second| pace.due(start + Duration::from_secs(*second)).is_some()).collect();
        assert_eq!(told, [0, 1, 2, 62, 122, 182]);
        let later = start + Duration::from_secs(199) + PAUSE * 2;
        assert_eq!(pace.due(later), Some(1), "after a quiet time it is told anew");
    }
}
