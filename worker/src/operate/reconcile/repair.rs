//! Posting what a pass has found: the run that is gone on with, the queues, and the end.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use servicebus::{Queue, browse};
use shared::{
    drift::Candidate,
    ids::{ContactId, SequenceNumber},
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    ReconcileError, Sides, StateFile,
    posting::{PostEnd, PostEvent, PostOptions, Posted, Posting},
};
use crate::{
    envelope,
    operate::replay::Watch,
    settings::check::{Advice, EntityUse},
};

/// The queue that is posted to, and that of its dead letters.
pub(crate) struct RepairQueues {
    /// The queue.
    pub(crate) main: Arc<dyn Queue>,
    /// Its dead letters.
    pub(crate) dead: Arc<dyn Queue>,
    /// How they are used, for words about failures.
    pub(crate) at: EntityUse,
}

impl RepairQueues {
    fn failed(&self, error: &servicebus::Error) -> ReconcileError {
        ReconcileError::Queue(Advice::of(error, &self.at).to_string().into())
    }

    /// Closes both.
    pub(crate) async fn close(&self) {
        self.main.close().await;
        self.dead.close().await;
    }
}

/// A repair that is about to begin.
pub(crate) struct RepairRun {
    /// Names the run.
    pub(crate) run: Uuid,
    /// What is posted.
    pub(crate) writes: Vec<Candidate>,
    main: Arc<dyn Queue>,
    watch: Watch<dyn Queue>,
}

impl RepairRun {
    /// Goes on with the run that was not ended, if there is one: what waits of it still is not posted again.
    pub(crate) async fn begin(
        queues: &RepairQueues,
        mut writes: Vec<Candidate>,
        file: &mut StateFile,
    ) -> Result<Self, ReconcileError> {
        if let Some(run) = file.unfinished() {
            let waiting = under_way(&*queues.main, run, file).await.map_err(|error| queues.failed(&error))?;
            writes.retain(|candidate| !waiting.contains(&candidate.contact));
        }
        let run = file.begin(Uuid::new_v4())?;
        let main = Arc::clone(&queues.main);
        let watch = Watch::begin(Arc::clone(&main), Arc::clone(&queues.dead), run).await;
        let watch: Watch<dyn Queue> = watch.map_err(|error| queues.failed(&error))?;
        Ok(Self { run, writes, main, watch })
    }

    /// Posts until all is consumed, something ends it, or `stop` turns true.
    pub(crate) async fn post(
        self,
        sides: &Sides,
        options: PostOptions,
        file: &mut StateFile,
        tell: impl FnMut(PostEvent),
        stop: watch::Receiver<bool>,
    ) -> Result<Posted, ReconcileError> {
        let Self { run, writes, main, watch } = self;
        let posted = Posting::new(sides, (main, watch), run, options, file, tell).post(&writes, stop).await?;
        if posted.end == PostEnd::Done {
            file.end()?;
        }
        Ok(posted)
    }
}

/// Contacts of a run that was not ended whose messages wait still: to post them again would be in vain.
async fn under_way(
    queue: &dyn Queue,
    run: Uuid,
    file: &StateFile,
) -> Result<BTreeSet<ContactId>, servicebus::Error> {
    let mut waiting = BTreeSet::new();
    browse(queue, SequenceNumber(0), |peeked| {
        waiting.extend(envelope::replayed_by(&peeked.message, run).and_then(|number| file.contact(number)));
        ControlFlow::Continue(())
    })
    .await?;
    Ok(waiting)
}

/// Waits until it turns true.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An end of the sender is an end as well.
    drop(stop.wait_for(|stop| *stop).await);
}
