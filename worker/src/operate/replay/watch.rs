//! Looking at both queues for what became of the copies.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc, time::Duration};

use servicebus::{Error, Queue, browse, last};
use shared::ids::SequenceNumber;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{Look, Outcomes};
use crate::envelope::replayed_by;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the copies of a run through the queue that they were sent to.
pub(crate) struct Watch<Q: ?Sized> {
    main: Arc<Q>,
    dead: Arc<Q>,
    replay: Uuid,
    /// The first numbers that copies can have.
    from: (SequenceNumber, SequenceNumber),
    outcomes: Outcomes,
    looking: JoinSet<Result<(Look, SequenceNumber), Error>>,
    next: Instant,
}

impl<Q: Queue + ?Sized> Watch<Q> {
    /// Notes where both queues end now, before anything is sent.
    pub(crate) async fn begin(main: Arc<Q>, dead: Arc<Q>, replay: Uuid) -> Result<Self, Error> {
        let after =
            |last: Option<SequenceNumber>| SequenceNumber(last.map_or(0, |last| last.0.saturating_add(1)));
        let from = (after(last(&*main).await?), after(last(&*dead).await?));
        let outcomes = Outcomes::default();
        Ok(Self { main, dead, replay, from, outcomes, looking: JoinSet::new(), next: Instant::now() })
    }

    /// A copy is in the queue.
    pub(crate) fn sent(&mut self, sequence: SequenceNumber) {
        self.outcomes.sent(sequence);
    }

    /// What is known.
    #[must_use]
    pub(crate) fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// Looks when it is time and something is open; returns when a look has ended. Safe to cancel.
    pub(crate) async fn look(&mut self) -> Result<(), Error> {
        if self.looking.is_empty() {
            sleep_until(self.next).await;
            if self.outcomes.open().is_empty() {
                self.next = Instant::now() + PAUSE;
                return Ok(());
            }
            let (main, dead) = (Arc::clone(&self.main), Arc::clone(&self.dead));
            let (replay, from, asked) = (self.replay, self.from, self.outcomes.open().clone());
            self.looking.spawn(look(main, dead, replay, from, asked));
        }
        let looked = self.looking.join_next().await;
        self.next = Instant::now() + PAUSE;
        // A look that panicked is made up for by the next one.
        if let Some(Ok(looked)) = looked {
            let (look, dead_until) = looked?;
            self.from.1 = dead_until;
            self.outcomes.looked(&look);
        }
        Ok(())
    }
}

async fn look<Q: Queue + ?Sized>(
    main: Arc<Q>,
    dead: Arc<Q>,
    replay: Uuid,
    (main_from, dead_from): (SequenceNumber, SequenceNumber),
    asked: BTreeSet<SequenceNumber>,
) -> Result<(Look, SequenceNumber), Error> {
    let mut look = Look { asked, ..Look::default() };
    browse(&*main, main_from, |peeked| {
        look.waiting.extend(replayed_by(&peeked.message, replay));
        ControlFlow::Continue(())
    })
    .await?;
    let walk = browse(&*dead, dead_from, |peeked| {
        look.dead.extend(replayed_by(&peeked.message, replay));
        ControlFlow::Continue(())
    })
    .await?;
    let next = walk.last.map_or(dead_from, |last| SequenceNumber(last.0.saturating_add(1)));
    Ok((look, next))
}
