//! When each dependency was last seen to work.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::labels::{Dependency, Labels};

/// Nothing was seen yet.
const NEVER: u64 = u64::MAX;

/// The time of the last success of each, in milliseconds after the start.
#[derive(Debug)]
pub(crate) struct Successes {
    started: Instant,
    at: Vec<AtomicU64>,
}

impl Default for Successes {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            at: Dependency::all().iter().map(|_| AtomicU64::new(NEVER)).collect(),
        }
    }
}

impl Successes {
    /// It worked.
    pub(crate) fn note(&self, dependency: Dependency) {
        let age = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER - 1);
        self.at[dependency.index()].store(age, Relaxed);
    }

    /// How long ago it worked last, if it ever did.
    #[must_use]
    pub(crate) fn ago(&self, dependency: Dependency) -> Option<Duration> {
        let at = self.at[dependency.index()].load(Relaxed);
        (at != NEVER).then(|| self.started.elapsed().saturating_sub(Duration::from_millis(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_worked_is_unknown_and_not_zero() {
        let successes = Successes::default();
        assert_eq!(successes.ago(Dependency::Graph), None);
        successes.note(Dependency::Graph);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(successes.ago(Dependency::Graph), Some(Duration::from_secs(7)));
        assert_eq!(successes.ago(Dependency::Token), None);
    }
}
