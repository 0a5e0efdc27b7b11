//! The dead letters of the whole queue by reason, looked at seldom: each look reads so many messages whole.

use std::time::Duration;

use servicebus::{Peek, QueueCounts, clock};
use shared::reason::chain;
use tokio::time::{Instant, sleep, timeout};

use super::look::{QueueSample, census};
use crate::telemetry::letters::LetterCensus;

/// Most messages that one look reads.
const MOST: u32 = 2_000;
/// The longest time between two looks.
const LONGEST: Duration = Duration::from_mins(15);
/// No look takes longer.
const LONGEST_LOOK: Duration = Duration::from_mins(1);

/// Looks again and again, until dropped: when the count of dead letters has changed, and else a few times an hour. `every` is
/// the shortest time between two looks. `counts` tells how many there are, as far as that is known; `reads` whether this
/// replica is the one of several that looks.
pub(crate) async fn poll_letters(
    dead_letters: &dyn Peek,
    every: Duration,
    counts: impl Fn() -> Option<QueueCounts>,
    reads: impl Fn() -> bool,
    show: impl Fn(Option<LetterCensus>),
) {
    let mut last: Option<(Instant, Option<u64>)> = None;
    loop {
        sleep(every).await;
        let count = counts().and_then(|counts| counts.dead_letter);
        if !reads() {
            show(None);
            last = None;
        } else if is_due(last, count, Instant::now()) {
            match timeout(LONGEST_LOOK, census(dead_letters, MOST)).await {
                Ok(Ok(QueueSample { reasons, more, .. })) => {
                    show(Some(LetterCensus { at: clock::now(), reasons, more }));
                }
                Ok(Err(error)) => {
                    tracing::debug!(error = %chain(&error), "the dead letters cannot be looked at; trying again");
                }
                Err(_) => tracing::debug!("the dead letters cannot be looked at in time; trying again"),
            }
            last = Some((Instant::now(), count));
        }
    }
}

fn is_due(last: Option<(Instant, Option<u64>)>, count: Option<u64>, now: Instant) -> bool {
    last.is_none_or(|(at, counted)| counted != count || now.saturating_duration_since(at) >= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_when_the_count_has_changed_and_else_seldom() {
        let now = Instant::now();
        assert!(is_due(None, None, now));
        assert!(!is_due(Some((now, Some(3))), Some(3), now));
        assert!(is_due(Some((now, Some(3))), Some(4), now));
        assert!(is_due(Some((now, Some(3))), Some(3), now + LONGEST));
    }
}
