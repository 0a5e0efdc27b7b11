//! One look through the queue for what is held aside, a page at a time.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use servicebus::{Peeked, Queue};
use shared::{
    mass_change::{Survey, SurveyBounds, SurveyQuestion},
    reason::chain,
    retry::Ladder,
};
use tokio::time::{Instant, sleep, timeout};

use crate::envelope::HeldCensus;

/// Messages in one page; the service gives no more.
const PAGE: u32 = 250;
/// Eight pages at each end. Behind as many messages as these bounds say, what is held is not worth a longer look.
const BOUNDS: SurveyBounds = SurveyBounds { ends: 8 * PAGE, all: 200_000 };
/// Longest time for one page.
const PATIENCE: Duration = Duration::from_secs(30);
/// Questions that may fail one after another, and the waits between them.
const AGAIN: Ladder = Ladder::fixed(Duration::from_millis(200), Duration::from_secs(10)).with_tries(6);

/// The messages of a page, or why there are none.
pub(in crate::run) type HeldPage = Result<Vec<Peeked>, String>;

/// A look that is under way.
pub(super) struct HeldLook {
    survey: Survey,
    /// What it has found so far.
    pub(super) census: HeldCensus,
    /// When it began, by [`shared::mass_change::MassChange::mark`].
    pub(super) mark: u64,
    pub(super) begun: Instant,
    failures: u32,
}

impl HeldLook {
    /// One that begins now.
    pub(super) fn begin(mark: u64, now: Instant) -> Self {
        let (survey, census) = (Survey::new(BOUNDS), HeldCensus::default());
        Self { survey, census, mark, begun: now, failures: 0 }
    }

    /// The answer to the next question; none if the look is over.
    pub(super) fn ask<Q: Queue + ?Sized>(&self, queue: &Arc<Q>) -> Option<BoxFuture<'static, HeldPage>> {
        let (from, most) = match self.survey.question()? {
            SurveyQuestion::Page(from) => (from, PAGE),
            SurveyQuestion::Any(from) => (from, 1),
        };
        let queue = Arc::clone(queue);
        let wait = if self.failures > 0 { AGAIN.ceiling(self.failures) } else { Duration::ZERO };
        Some(Box::pin(async move {
            sleep(wait).await;
            match timeout(PATIENCE, queue.peek(from, most)).await {
                Ok(peeked) => peeked.map_err(|error: servicebus::Error| chain(&error)),
                Err(_) => Err(format!("no answer within {PATIENCE:?}")),
            }
        }))
    }

    /// Takes a page in. Returns what is held of it.
    pub(super) fn answered(&mut self, page: &[Peeked]) -> HeldCensus {
        self.failures = 0;
        let mut part = HeldCensus::default();
        for peeked in page.iter().filter(|peeked| self.survey.wants(peeked.message.sequence)) {
            if let Some(held) = HeldCensus::held(peeked) {
                part.add(&peeked.message, &held);
            }
        }
        self.survey.answered(page.iter().map(|peeked| peeked.message.sequence));
        self.census.join(part.clone());
        part
    }

    /// There was no page. Whether to ask for it again.
    pub(super) fn failed(&mut self) -> bool {
        self.failures += 1;
        !AGAIN.is_exhausted(self.failures)
    }

    /// Whether it is over and the whole queue was looked through.
    pub(super) fn is_whole(&self) -> bool {
        self.survey.is_whole()
    }

    /// Messages that were looked at.
    pub(super) fn seen(&self) -> u64 {
        self.survey.seen()
    }
}
