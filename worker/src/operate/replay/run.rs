//! The loop of a replay: take, send, complete, watch; and give back what was not wanted.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use servicebus::{Queue, Settlement, clock};
use shared::{
    class::Class,
    ids::{LockToken, SequenceNumber},
    reason::chain,
    target::TargetName,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Audit, Event, Item, Members, Progress, ReplayAction, ReplayEnd, ReplayOptions, ReplaySource, Seen,
    Summary, Taken, Turn, Watch,
    selective_receiver::present,
    sending::{Sent, send},
    waits,
};
use crate::{envelope, operate::dead_letters::Letter, settings::check::Advice};

/// Copies under way at once.
const MOST_SENDS: usize = 64;
/// After so much silence it is looked whether the missing members are still there.
const SILENCE: Duration = Duration::from_secs(1);

/// A replay.
pub(crate) struct Run<Q: ?Sized, T> {
    options: ReplayOptions,
    source: ReplaySource<Q>,
    target: Arc<Q>,
    /// Which of several targets copies are for.
    addressed_to: Option<TargetName>,
    watch: Option<Watch<Q>>,
    tell: T,
    hand: VecDeque<Item>,
    sends: JoinSet<Sent>,
    checks: JoinSet<Result<Members, servicebus::Error>>,
    begun: u64,
    replayed: u64,
    gone: u64,
    left: u64,
    /// When the next copy may be sent.
    next: Instant,
    /// When something last came or went.
    news: Instant,
    checked: Instant,
    /// Since when outcomes are waited for.
    waiting: Option<Instant>,
    /// What was told last of what is waited for.
    told: Option<String>,
    /// Messages a second that may be sent now, if any.
    rate: Option<f64>,
    exhausted: bool,
}

impl<Q: Queue + ?Sized, T: FnMut(Event)> Run<Q, T> {
    /// A run that has not begun. `watch` follows the outcomes where the pacing asks for them.
    pub(crate) fn new(
        options: ReplayOptions,
        source: ReplaySource<Q>,
        target: Arc<Q>,
        watch: Option<Watch<Q>>,
        tell: T,
    ) -> Self {
        let now = Instant::now();
        Self {
            options,
            source,
            target,
            addressed_to: None,
            watch,
            tell,
            hand: VecDeque::new(),
            sends: JoinSet::new(),
            checks: JoinSet::new(),
            begun: 0,
            replayed: 0,
            gone: 0,
            left: 0,
            next: now,
            news: now,
            checked: now,
            waiting: None,
            told: None,
            rate: None,
            exhausted: false,
        }
    }

    /// The same, with copies that name the target that they are for.
    pub(crate) fn addressed_to(self, target: Option<TargetName>) -> Self {
        Self { addressed_to: target, ..self }
    }

    /// Replays until the set is done, something ends it, or `stop` turns true; then gives back what it holds.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Summary {
        let started = Instant::now();
        let ReplayOptions { replay, members, looked_at, .. } = self.options;
        (self.tell)(Event::Started { replay, members, looked_at });
        let mut end = loop {
            match self.step(&mut stop).await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        // What is on its way is never left between its copy and its completion without need.
        while let Some(sent) = self.next_sent().await {
            if let (Err(failed), ReplayEnd::Done) = (self.sent(sent), &end) {
                end = failed;
            }
        }
        if end == ReplayEnd::Done && self.watch.is_some() {
            end = self.await_outcomes(&mut stop).await;
        }
        self.give_back().await;
        let open = self.watch.as_ref().map_or(0, |watch| watch.outcomes().open().len() as u64);
        Summary {
            replay,
            progress: self.progress(),
            open,
            watched: self.watch.is_some(),
            gone: self.gone,
            left: self.left,
            took: started.elapsed(),
            end,
        }
    }

    /// The next message that was sent; locks are kept meanwhile.
    async fn next_sent(&mut self) -> Option<Result<Sent, tokio::task::JoinError>> {
        loop {
            tokio::select! {
                sent = self.sends.join_next() => return sent,
                lost = keep_locks(&mut self.source) => lost.into_iter().for_each(|lock| self.lost(lock)),
            }
        }
    }

    /// One turn: sees whether there is an end, asks for what is needed, and waits for whatever happens first.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), ReplayEnd> {
        if *stop.borrow() {
            return Err(ReplayEnd::Stopped);
        }
        let turn = self.turn()?;
        self.fill()?;
        self.look_around()?;
        let may_send =
            matches!(turn, Turn::Send(_)) && !self.hand.is_empty() && self.sends.len() < MOST_SENDS;
        let check = (self.news + SILENCE).max(self.checked + 2 * SILENCE);
        let silent = self.is_quiet() && self.missing() > 0 && self.checks.is_empty();
        let patience = self.waiting.unwrap_or(self.news) + self.options.patience;
        tokio::select! {
            changed = stop.changed() => changed.map_err(|_| ReplayEnd::Stopped)?,
            Some(sent) = self.sends.join_next() => self.sent(sent)?,
            taken = take(&mut self.source) => self.taken(taken)?,
            looked = look(&mut self.watch) => self.looked(looked)?,
            Some(checked) = self.checks.join_next() => self.checked(checked),
            () = sleep_until(self.next), if may_send => {
                if let Turn::Send(rate) = turn {
                    self.begin(rate);
                }
            }
            () = sleep_until(check), if silent => self.check(),
            () = sleep_until(patience), if patience > Instant::now() => {}
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<Turn, ReplayEnd> {
        let turn = self.options.pacing.turn(self.seen());
        match turn {
            Turn::Abort => return Err(ReplayEnd::Aborted),
            Turn::Send(rate) => {
                self.waiting = None;
                self.rate = Some(rate);
            }
            Turn::Wait => {
                self.rate = None;
                if self.waiting.is_none() {
                    self.waiting = Some(Instant::now());
                    self.tell_waiting(waits::for_canaries(self.options.patience));
                }
            }
        }
        Ok(turn)
    }

    /// Says what is waited for, unless that was said last.
    fn tell_waiting(&mut self, what: String) {
        if self.told.as_ref() != Some(&what) {
            self.told = Some(what.clone());
            (self.tell)(Event::Waiting(what));
        }
    }

    /// Sees to it that there are messages for the next seconds.
    fn fill(&mut self) -> Result<(), ReplayEnd> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        let wanted = (self.options.pacing.rate * 4.0).clamp(8.0, 512.0) as usize;
        if self.hand.len() > wanted / 2 {
            return Ok(());
        }
        match &mut self.source {
            ReplaySource::Queue(receiver) => receiver.ask(wanted - self.hand.len()),
            ReplaySource::File(file) => {
                while self.hand.len() < wanted && !self.exhausted {
                    match file.take() {
                        Ok(Some(message)) => {
                            self.hand.push_back(Item { message, lock: None, copied: false });
                        }
                        Ok(None) => self.exhausted = true,
                        Err(error) => return Err(ReplayEnd::Failed(chain(&error).into())),
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether it is over, or cannot go on.
    fn look_around(&mut self) -> Result<(), ReplayEnd> {
        let now = Instant::now();
        if self.waiting.is_some_and(|since| now >= since + self.options.patience) {
            return Err(ReplayEnd::OutcomeTimeout);
        }
        if !self.is_quiet() {
            return Ok(());
        }
        match &self.source {
            ReplaySource::File(_) if self.exhausted => Err(ReplayEnd::Done),
            ReplaySource::File(_) => Ok(()),
            ReplaySource::Queue(receiver) if receiver.members().is_empty() => Err(ReplayEnd::Done),
            ReplaySource::Queue(receiver) => match receiver.blocked() {
                Some(before) => Err(ReplayEnd::Blocked { before }),
                None if now >= self.news + self.options.patience => Err(ReplayEnd::Locked),
                None => Ok(()),
            },
        }
    }

    fn is_quiet(&self) -> bool {
        self.hand.is_empty() && self.sends.is_empty()
    }

    fn missing(&self) -> usize {
        match &self.source {
            ReplaySource::Queue(receiver) => receiver.members().len(),
            ReplaySource::File(_) => 0,
        }
    }

    fn seen(&self) -> Seen {
        let outcomes = self.watch.as_ref().map(Watch::outcomes);
        Seen {
            begun: self.begun,
            well: outcomes.map_or(0, super::Outcomes::well),
            failed: outcomes.map_or(0, super::Outcomes::failed),
        }
    }

    fn progress(&self) -> Progress {
        let Seen { well, failed, .. } = self.seen();
        let (members, replayed) = (self.options.members, self.replayed);
        let rest = self.rate.and_then(|rate| waits::rest(members.saturating_sub(replayed), rate));
        Progress { members, replayed, well, failed, rest }
    }

    fn tell_progress(&mut self) {
        let progress = self.progress();
        (self.tell)(Event::Progress(progress));
    }

    /// Begins to send the first message in hand.
    fn begin(&mut self, rate: f64) {
        let Some(item) = self.hand.pop_front() else { return };
        if item.copied || self.options.action == ReplayAction::Remove {
            self.sends.spawn(send(Arc::clone(&self.target), item, None));
            return;
        }
        let Some(copy) = envelope::replayed(&item.message, self.options.replay, clock::now()) else {
            self.leave(item, "its body cannot be carried along".into());
            return;
        };
        let copy = envelope::addressed(copy, self.addressed_to.as_ref());
        let now = Instant::now();
        // Small delays are made up for, so that the rate is met; a long one is not, so that it is never exceeded.
        let due = if self.next + SILENCE / 4 < now { now } else { self.next };
        self.next = due + Duration::from_secs_f64(1.0 / rate);
        self.begun += 1;
        self.sends.spawn(send(Arc::clone(&self.target), item, Some(copy)));
    }

    fn leave(&mut self, item: Item, why: Box<str>) {
        self.left += 1;
        (self.tell)(Event::Left { sequence: item.message.sequence, why });
        if let (Some(lock), ReplaySource::Queue(receiver)) = (item.lock, &mut self.source) {
            receiver.put_aside(item.message.sequence, lock);
        }
    }

    fn taken(&mut self, taken: Result<Taken, servicebus::Error>) -> Result<(), ReplayEnd> {
        match taken {
            Ok(Taken::Items(items)) => {
                self.news = Instant::now();
                self.told = None;
                self.hand.extend(items);
            }
            Ok(Taken::Lost(locks)) => locks.into_iter().for_each(|lock| self.lost(lock)),
            Err(error) => return self.trouble(&error),
        }
        Ok(())
    }

    fn lost(&mut self, lock: LockToken) {
        let in_hand = |item: &Item| item.lock.as_ref().is_some_and(|unsettled| unsettled.lock == lock);
        let Some(at) = self.hand.iter().position(in_hand) else { return };
        if let (Some(item), ReplaySource::Queue(receiver)) = (self.hand.remove(at), &mut self.source) {
            receiver.comes_again(item.message.sequence, item.copied);
        }
    }

    fn sent(&mut self, sent: Result<Sent, tokio::task::JoinError>) -> Result<(), ReplayEnd> {
        // A task that panicked leaves its lock to lapse; its message is missed and looked for.
        let Ok(Sent { message, lock, was_copied, result }) = sent else { return Ok(()) };
        let sequence = message.sequence;
        self.news = Instant::now();
        if let (Some(lock), ReplaySource::Queue(receiver)) = (lock, &mut self.source) {
            receiver.settled(lock);
        }
        match result {
            Ok((message_id, completed)) => {
                let remove = self.options.action == ReplayAction::Remove;
                if !completed && let ReplaySource::Queue(receiver) = &mut self.source {
                    receiver.comes_again(sequence, !remove);
                }
                match (remove, was_copied) {
                    (true, _) if completed => self.removed(&message),
                    (false, false) => self.put_back(&message, sequence, message_id, completed),
                    _ => {}
                }
                Ok(())
            }
            Err((error, item)) if error.class() == Class::Permanent => {
                self.leave(item, chain(&error).into());
                Ok(())
            }
            Err((error, item)) => {
                if let (Some(lock), ReplaySource::Queue(receiver)) = (item.lock, &mut self.source) {
                    receiver.put_aside(sequence, lock);
                }
                Err(ReplayEnd::Failed(Advice::of(&error, &self.options.ends.1).to_string().into()))
            }
        }
    }

    fn put_back(
        &mut self,
        message: &servicebus::Message,
        sequence: SequenceNumber,
        message_id: Box<str>,
        completed: bool,
    ) {
        self.replayed += 1;
        if let Some(watch) = &mut self.watch {
            watch.sent(sequence);
        }
        let (replay, letter, at) = (self.options.replay, Letter::of(message), clock::now());
        (self.tell)(Event::Replayed(Audit { replay, letter, message_id, at, completed }));
        self.tell_progress();
    }

    fn removed(&mut self, message: &servicebus::Message) {
        self.replayed += 1;
        (self.tell)(Event::Removed(Letter::of(message)));
        self.tell_progress();
    }

    fn looked(&mut self, looked: Result<(), servicebus::Error>) -> Result<(), ReplayEnd> {
        match looked {
            Ok(()) => {
                self.tell_progress();
                Ok(())
            }
            Err(error) => self.trouble(&error),
        }
    }

    /// A failure that may pass is waited out; any other ends the run.
    fn trouble(&mut self, error: &servicebus::Error) -> Result<(), ReplayEnd> {
        let advice = Advice::of(error, &self.options.ends.0);
        match error.class() {
            Class::Transient | Class::Throttled { .. } if !matches!(error, servicebus::Error::Closed) => {
                self.tell_waiting(format!("for service bus: {advice}"));
                Ok(())
            }
            _ => Err(ReplayEnd::Failed(advice.to_string().into())),
        }
    }

    /// Members that do not come may have been taken out by somebody else.
    fn check(&mut self) {
        self.checked = Instant::now();
        if let ReplaySource::Queue(receiver) = &self.source {
            self.checks.spawn(present(Arc::clone(receiver.queue()), receiver.members().clone()));
        }
    }

    fn checked(&mut self, checked: Result<Result<Members, servicebus::Error>, tokio::task::JoinError>) {
        self.checked = Instant::now();
        // What could not be looked at is looked at again.
        if let (Ok(Ok(present)), ReplaySource::Queue(receiver)) = (checked, &mut self.source) {
            self.gone += receiver.keep(&present);
            let (missing, lock) = (receiver.members().len(), receiver.queue().lock_length());
            if missing > 0 && self.is_quiet() {
                let until = self.news + self.options.patience;
                self.tell_waiting(waits::for_locks(
                    missing,
                    lock,
                    until - Instant::now().min(until),
                    clock::now(),
                ));
            }
        }
    }

    async fn await_outcomes(&mut self, stop: &mut watch::Receiver<bool>) -> ReplayEnd {
        let deadline = Instant::now() + self.options.patience;
        self.rate = None;
        self.tell_waiting(waits::for_outcomes(self.options.patience));
        loop {
            if self.options.pacing.turn(self.seen()) == Turn::Abort {
                return ReplayEnd::Aborted;
            }
            if self.watch.as_ref().is_none_or(|watch| watch.outcomes().open().is_empty()) {
                return ReplayEnd::Done;
            }
            tokio::select! {
                looked = look(&mut self.watch) => {
                    if let Err(end) = self.looked(looked) {
                        return end;
                    }
                }
                lost = keep_locks(&mut self.source) => lost.into_iter().for_each(|lock| self.lost(lock)),
                _ = stop.changed() => return ReplayEnd::Done,
                () = sleep_until(deadline) => return ReplayEnd::Done,
            }
        }
    }

    async fn give_back(&mut self) {
        let ReplaySource::Queue(receiver) = &mut self.source else { return };
        for item in self.hand.drain(..) {
            if let Some(unsettled) = item.lock {
                receiver.settled(unsettled.lock);
                // One whose copy is in the queue only misses its completion.
                let settlement = if item.copied { Settlement::Remove } else { Settlement::Release };
                // What cannot be given back is given back by its lock when it lapses.
                drop(receiver.meanwhile(unsettled.settle(settlement)).await);
            }
        }
        receiver.give_back().await;
    }
}

async fn take<Q: Queue + ?Sized>(source: &mut ReplaySource<Q>) -> Result<Taken, servicebus::Error> {
    match source {
        ReplaySource::Queue(receiver) => receiver.next().await,
        ReplaySource::File(_) => std::future::pending().await,
    }
}

/// Renews the locks of what was taken until some are lost.
async fn keep_locks<Q: Queue + ?Sized>(source: &mut ReplaySource<Q>) -> Vec<LockToken> {
    match source {
        ReplaySource::Queue(receiver) => receiver.keep_locks().await,
        ReplaySource::File(_) => std::future::pending().await,
    }
}

async fn look<Q: Queue + ?Sized>(watch: &mut Option<Watch<Q>>) -> Result<(), servicebus::Error> {
    match watch {
        Some(watch) => watch.look().await,
        None => std::future::pending().await,
    }
}
