//! Posting what differs, no faster than it is consumed.

use std::{sync::Arc, time::Duration};

use servicebus::{Error, Queue, clock};
use shared::{
    class::Class,
    drift::{Candidate, Looked, TableRow},
    reason::chain,
    target::TargetName,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{ReconcileError, Sides, StateFile, message::message, sides::LOOK};
use crate::{
    envelope,
    operate::replay::{Pacing, Seen, Turn, Watch, confirm},
    settings::check::{Advice, EntityUse},
};

/// By how many seconds a run may be ahead of what is consumed.
const AHEAD: f64 = 15.0;

/// How a run posts.
#[derive(Clone, Debug)]
pub(crate) struct PostOptions {
    /// How fast, and how many may become dead letters.
    pub pacing: Pacing,
    /// How long it is waited for a message that was posted to be consumed.
    pub patience: Duration,
    /// Which of several targets the messages are for.
    pub addressed_to: Option<TargetName>,
    /// Where they are posted to, for words about failures.
    pub at: EntityUse,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostEnd {
    /// All that differed was posted, and consumed.
    Done,
    /// It was told to stop.
    Stopped,
    /// Too many became dead letters.
    Aborted,
    /// What was posted is not consumed.
    NotConsumed,
    /// The queue cannot be used.
    Failed(Box<str>),
}

impl PostEnd {
    /// A short name for scripts.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::NotConsumed => "not-consumed",
            Self::Failed(_) => "failed",
        }
    }

    /// What it means and what to do.
    pub(crate) fn explain(&self) -> String {
        match self {
            Self::Done => "all that differed and could be written was applied".into(),
            Self::Stopped => "stopped; the same command goes on with the rest".into(),
            Self::Aborted => "stopped because too many became dead letters; mend the cause (dead-letters list shows it), and \
                              the same command goes on with the rest"
                .into(),
            Self::NotConsumed => "stopped because what was posted is not consumed; is a worker running? Is it held aside, because \
                                  this run changes too many users alike (held list)? --wait takes more patience, and the same \
                                  command goes on with the rest"
                .into(),
            Self::Failed(what) => format!("stopped because the queue cannot be used: {what}"),
        }
    }
}

/// What is told meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PostEvent {
    /// Candidates dealt with.
    pub done: u64,
    /// Of so many.
    pub of: u64,
    /// Messages posted.
    pub posted: u64,
    /// Messages that were consumed.
    pub well: u64,
    /// Messages that became dead letters.
    pub failed: u64,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// How far it has come.
    pub event: PostEvent,
    /// Messages of which nothing is known yet.
    pub open: u64,
    /// How it ended.
    pub end: PostEnd,
}

/// A run that posts.
pub(crate) struct Posting<'s, T> {
    sides: &'s Sides,
    queue: Arc<dyn Queue>,
    watch: Watch<dyn Queue>,
    run: Uuid,
    options: PostOptions,
    file: &'s mut StateFile,
    tell: T,
    event: PostEvent,
    next: Instant,
    /// When something was consumed last, or could not be because nothing waited.
    news: Instant,
}

impl<'s, T: FnMut(PostEvent)> Posting<'s, T> {
    /// A run that has not begun.
    pub(crate) fn new(
        sides: &'s Sides,
        (queue, watch): (Arc<dyn Queue>, Watch<dyn Queue>),
        run: Uuid,
        options: PostOptions,
        file: &'s mut StateFile,
        tell: T,
    ) -> Self {
        let now = Instant::now();
        Self {
            sides,
            queue,
            watch,
            run,
            options,
            file,
            tell,
            event: PostEvent::default(),
            next: now,
            news: now,
        }
    }

    /// Posts until all is consumed, something ends it, or `stop` turns true.
    pub(crate) async fn post(
        mut self,
        writes: &[Candidate],
        mut stop: watch::Receiver<bool>,
    ) -> Result<Posted, ReconcileError> {
        self.event.of = writes.len() as u64;
        let end = match self.post_all(writes, &mut stop).await {
            Err(Ended::Error(error)) => return Err(error),
            Err(Ended::So(end)) => end,
            Ok(()) => self.await_outcomes(&mut stop).await,
        };
        let open = self.watch.outcomes().open().len() as u64;
        Ok(Posted { event: self.event, open, end })
    }

    async fn post_all(
        &mut self,
        writes: &[Candidate],
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Ended> {
        // What is looked at is posted within seconds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        let at_once = ((self.options.pacing.rate * 4.0).clamp(1.0, 1_000.0) as usize).min(LOOK);
        for candidates in writes.chunks(at_once) {
            self.wait_for_room(candidates.len(), stop).await?;
            for (candidate, looked) in self.sides.look(candidates).await.map_err(Ended::Error)? {
                if let Looked::Differs(found) = looked
                    && let Some(row) = found.0.change(&found.1, &self.sides.planner)
                {
                    self.wait_for_turn(stop).await?;
                    self.send(candidate, &row).await?;
                }
                self.event.done += 1;
                (self.tell)(self.event);
            }
        }
        Ok(())
    }

    async fn send(&mut self, candidate: Candidate, row: &TableRow) -> Result<(), Ended> {
        let number = self.file.number(candidate.contact).map_err(Ended::Error)?;
        let run = self.run;
        let message = envelope::posted(message(row, run), run, number, clock::now());
        let message = envelope::addressed(message, self.options.addressed_to.as_ref());
        confirm(&*self.queue, message).await.map_err(|error| Ended::So(self.failed(&error)))?;
        self.watch.sent(number);
        self.event.posted += 1;
        Ok(())
    }

    /// Waits until so many more messages may wait. Only then is looked, so that what is posted was read just before.
    async fn wait_for_room(&mut self, more: usize, stop: &mut watch::Receiver<bool>) -> Result<(), Ended> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is bounded")]
        let most = ((self.options.pacing.rate * AHEAD) as usize).max(more);
        loop {
            self.rate()?;
            if self.watch.outcomes().open().len() + more <= most {
                return Ok(());
            }
            self.wait(stop, None).await.map_err(Ended::So)?;
        }
    }

    /// Waits until the next message may be sent by the rate.
    async fn wait_for_turn(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Ended> {
        let rate = self.rate()?;
        while Instant::now() < self.next {
            self.wait(stop, Some(self.next)).await.map_err(Ended::So)?;
        }
        self.next = Instant::now() + Duration::from_secs_f64(1.0 / rate);
        Ok(())
    }

    /// The rate, unless too many have become dead letters.
    fn rate(&self) -> Result<f64, Ended> {
        match self.options.pacing.turn(self.seen()) {
            Turn::Send(rate) => Ok(rate),
            Turn::Wait => Ok(self.options.pacing.rate),
            Turn::Abort => Err(Ended::So(PostEnd::Aborted)),
        }
    }

    async fn await_outcomes(&mut self, stop: &mut watch::Receiver<bool>) -> PostEnd {
        loop {
            if self.options.pacing.turn(self.seen()) == Turn::Abort {
                return PostEnd::Aborted;
            }
            if self.watch.outcomes().open().is_empty() {
                return PostEnd::Done;
            }
            if let Err(end) = self.wait(stop, None).await {
                return end;
            }
        }
    }

    /// Waits for whatever happens first: a look at the queue has ended, it is time, or it takes too long.
    async fn wait(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        until: Option<Instant>,
    ) -> Result<(), PostEnd> {
        if *stop.borrow() {
            return Err(PostEnd::Stopped);
        }
        if self.watch.outcomes().open().is_empty() {
            self.news = Instant::now();
        }
        let patience = self.news + self.options.patience;
        tokio::select! {
            _ = stop.changed() => return Err(PostEnd::Stopped),
            looked = self.watch.look() => self.looked(looked)?,
            () = sleep_until(until.unwrap_or(patience)), if until.is_some() => {}
            () = sleep_until(patience) => return Err(PostEnd::NotConsumed),
        }
        Ok(())
    }

    fn failed(&self, error: &Error) -> PostEnd {
        PostEnd::Failed(Advice::of(error, &self.options.at).to_string().into())
    }

    fn looked(&mut self, looked: Result<(), Error>) -> Result<(), PostEnd> {
        if let Err(error) = looked {
            let passes = matches!(error.class(), Class::Transient | Class::Throttled { .. });
            if !passes || matches!(error, Error::Closed) {
                return Err(self.failed(&error));
            }
            let advice = Advice::of(&error, &self.options.at);
            tracing::warn!(error = %chain(&error), "service bus is away: {advice}; trying again");
        }
        let outcomes = self.watch.outcomes();
        let (well, failed) = (outcomes.well(), outcomes.failed());
        if (well, failed) != (self.event.well, self.event.failed) {
            (self.event.well, self.event.failed) = (well, failed);
            self.news = Instant::now();
            (self.tell)(self.event);
        }
        Ok(())
    }

    fn seen(&self) -> Seen {
        let PostEvent { posted, well, failed, .. } = self.event;
        Seen { begun: posted, well, failed }
    }
}

/// Why posting is over.
enum Ended {
    So(PostEnd),
    Error(ReconcileError),
}
