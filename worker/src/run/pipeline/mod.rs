//! The path of a message: receive → decode → plan → lane → apply → outcome → settle, one function per arrow.
//!
//! Everything that has to be decided is decided by [`Engine`], which does nothing itself. This is the shell
//! around it: one task tells the engine what happened and carries out what it asks for; what takes time
//! (writes, settlements, renewals, probes) runs beside it and reports back.

mod audit;
mod calls;
mod rows;
mod searches;
mod told;
mod writer;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use servicebus::{Delivery, Queue, clock, times::ClockReading};
use shared::{
    class::Class,
    engine::{Arrival, Effect, Engine, Intake, LookResult, WriteResult, renewal::Renewal},
    gate::State,
    ids::{LockToken, UserId},
    lanes::Failure,
    mass_change::PriorDecision,
    monotonic_time::MonotonicTime,
    outcome::Outcome,
    plan::{KnownRows, WantedRow},
    reason::chain,
    step::Step,
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    aside::AsideWatch,
    epoch::Epoch,
    intake_failures::IntakeFailures,
    lease::{LeaseSeat, SeatEvent},
    link::LinkGate,
    now::Now,
    policy::PipelineOptions,
    renewal::renew,
    settlements::{Copy, End, LockedDelivery, Settlements},
    state::StateLog,
};
use crate::{
    dataverse::{RowSource, RowsSeen, RowsUnreadable},
    envelope,
    graph::{self, Directory, GracePeriods, LinkAnswers, Unanswered},
    preview::{
        Subjects,
        judge::{BodyReader, Contents, Judged, changes, internal, judge, read},
    },
    telemetry::{
        Observer,
        health::{BEAT, Phase},
        labels::{PauseCause, ReplicaRole},
        last_error::FailedCall,
        observer::Written,
    },
};

/// The answers for one message; nothing if asking panicked.
type Asked = (LockToken, Option<Result<LinkAnswers, Box<Unanswered>>>);

/// What came of asking Dataverse.
enum RowsEvent {
    /// Whether rows can be read.
    Prepared(Result<(), RowsUnreadable>),
    /// A question is answered; nothing if asking panicked.
    Read { batch: u64, rows: Vec<WantedRow>, read: Option<Result<RowsSeen, RowsUnreadable>> },
}

enum WriteEnded {
    Answered(UserId, WriteAnswer),
    /// The lease had run out at the last moment.
    NotBegun(UserId),
}

struct WriteAnswer {
    written: Written,
    result: WriteResult,
    /// What is at fault, if the installation is.
    cause: PauseCause,
    /// What was answered, if it failed.
    failed: Option<Box<FailedCall>>,
}

/// The path of messages through one replica.
pub(crate) struct Pipeline<Q: ?Sized, D> {
    queue: Arc<Q>,
    directory: Arc<D>,
    policy: PipelineOptions,
    epoch: Epoch,
    engine: Engine<LockedDelivery>,
    link: LinkGate<Q>,
    aside: AsideWatch<Q>,
    /// On tasks of their own: never behind receiving, never behind Graph.
    renewals: JoinSet<Vec<(LockToken, Renewal)>>,
    /// Part of the pipeline's own task: a task for each write would cost more than all that the pipeline does for it.
    writes: FuturesUnordered<BoxFuture<'static, WriteEnded>>,
    looks: JoinSet<(UserId, LookResult)>,
    searches: JoinSet<Asked>,
    reads: JoinSet<RowsEvent>,
    /// Where rows are read, if they can be.
    rows: Option<Arc<RowSource>>,
    probe: JoinSet<Result<(), graph::Error>>,
    settlements: Settlements<Q>,
    observer: Arc<Observer>,
    state: StateLog,
    failures: IntakeFailures,
    /// By which replicas agree on who writes; `None` if this is the only one.
    lease: Option<LeaseSeat>,
    /// The role that was told last.
    role: Option<ReplicaRole>,
    /// Since when nothing can be written although this replica is the writer.
    unable_since: Option<MonotonicTime>,
    closed: bool,
    /// decode → plan; a field so that tests can show what a panic in it does.
    read: BodyReader,
}

impl<Q: Queue + ?Sized, D: Directory> Pipeline<Q, D> {
    /// One that has not begun yet.
    pub(crate) fn new(
        queue: Arc<Q>,
        directory: Arc<D>,
        policy: PipelineOptions,
        observer: Arc<Observer>,
        lease: Option<LeaseSeat>,
    ) -> Self {
        let failures = IntakeFailures::new(policy.intake.clone(), Arc::clone(&observer));
        Self {
            engine: Engine::new(policy.engine.clone()),
            link: LinkGate::start(Arc::clone(&queue), &policy, Arc::clone(&observer)),
            aside: AsideWatch::new(Arc::clone(&queue), Arc::clone(&observer)),
            settlements: Settlements::new(Arc::clone(&queue), policy.returns.clone(), Arc::clone(&observer)),
            queue,
            directory,
            policy,
            epoch: lease.as_ref().map_or_else(Epoch::begin, LeaseSeat::epoch),
            renewals: JoinSet::new(),
            writes: FuturesUnordered::new(),
            looks: JoinSet::new(),
            searches: JoinSet::new(),
            reads: JoinSet::new(),
            rows: None,
            probe: JoinSet::new(),
            state: StateLog::new(Arc::clone(&observer)),
            failures,
            observer,
            lease,
            role: None,
            unable_since: None,
            closed: false,
            read,
        }
    }

    /// Works until `stop` turns true, then finishes what is under way.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() && !self.closed {
            self.step(&mut stop).await;
        }
        self.link.give_up();
        self.aside.give_up();
        self.drain().await;
        self.say_goodbye().await;
        self.queue.close().await;
    }

    /// One turn: do what can be done, ask for what fits, and wait for whatever happens first.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) {
        let now = self.now();
        self.engine.locks_hold_for(self.queue.lock_length());
        self.take_role(now);
        let wake = self.carry_out(now);
        self.aside.turn(self.engine.mass_change(), now.instant);
        let wake = self.aside.wake().map_or(wake, |look| wake.min(look));
        self.state.turn(&self.engine, Phase::Running, now);
        let open = self.link.is_open() && self.aside.is_open();
        let credit = if open { self.engine.credit(now.moment) } else { 0 };
        self.queue.set_credit(u32::try_from(credit).unwrap_or(u32::MAX));
        tokio::select! {
            changed = stop.changed() => self.closed |= changed.is_err(),
            received = self.queue.receive() => match received {
                Ok(deliveries) => {
                    self.failures.over();
                    // Before what comes again: a copy may have taken its place.
                    self.hear_of_copies();
                    let now = self.now();
                    for delivery in deliveries {
                        self.received(delivery, now);
                    }
                }
                Err(error) => self.intake_failed(&error),
            },
            Some(ended) = self.writes.next() => self.write_ended(ended, self.now()),
            Some(ended) = self.looks.join_next() => self.look_ended(ended),
            Some(ended) = self.searches.join_next() => self.found(ended),
            Some(event) = self.reads.join_next() => self.rows_event(event),
            page = self.link.looked() => self.link.page(page, self.read, &self.policy.planner),
            page = self.aside.looked() => {
                self.aside.take(page, self.engine.mass_change_mut(), Instant::now());
            }
            Some(probed) = self.probe.join_next() => self.probe_ended(probed),
            Some(end) = self.settlements.next() => self.settled(end, self.now()),
            Some(answers) = self.renewals.join_next() => self.renewed(answers),
            event = changed(&mut self.lease) => self.lease_changed(&event),
            () = sleep_until(wake) => {}
        }
        self.catch_up();
    }

    /// Takes whatever else has ended already, so that a turn serves many events and not one.
    fn catch_up(&mut self) {
        let now = self.now();
        while let Some(Some(ended)) = self.writes.next().now_or_never() {
            self.write_ended(ended, now);
        }
        while let Some(end) = self.settlements.try_next() {
            self.settled(end, now);
        }
        self.hear_of_copies();
    }

    /// What the queue has confirmed of copies and their originals.
    fn hear_of_copies(&mut self) {
        while let Some(confirmed) = self.settlements.try_copy() {
            match confirmed {
                Copy::Sent(message) => self.engine.copied(message),
                Copy::OriginalGone(message) => self.engine.removed(message),
            }
        }
    }

    /// receive → decode → plan → lane.
    fn received(&mut self, delivery: Delivery, now: Now) {
        self.observer.received();
        let Now { instant: received, moment, wall } = now;
        // Ages are counted by the clock that wrote the beginning.
        let there = self.observer.times.at_service_bus(ClockReading { instant: received, wall });
        let trace = self.observer.trace(&delivery.message, wall).map(|trace| (trace, clock::now()));
        let (mut decoded, mut subjects, mut author) = (None, Subjects::default(), None);
        self.policy.planner.known.expire(moment);
        let rows = KnownRows::default();
        let reading = self.reading(&delivery.message, &rows);
        let (planner, sequence) = (&self.policy.planner, delivery.message.sequence);
        let mut note = |contents: &Contents| {
            decoded = trace.is_some().then(clock::now);
            subjects = Subjects::reported(contents, planner);
            author = changes(contents).first().and_then(|change| change.origin.initiating_user);
            self.link.look(changes(contents), planner, sequence);
        };
        let Judged { intake, history: past } =
            judge(self.read, &delivery.message, planner, reading, there, &mut note);
        let intake = self.aside.admit(self.link.admit(intake, past.arrival));
        subjects.found(meant(&intake));
        if let Some((trace, begun)) = &trace {
            let (end, done) = (decoded.unwrap_or_else(clock::now), clock::now());
            trace.part("receive", wall, *begun);
            trace.part("decode", *begun, end);
            trace.part("plan", end, done);
        }
        let enqueued = past.first_seen.unwrap_or(there);
        let (lock, taken) = (delivery.lock, self.epoch.moment(delivery.received));
        let bytes = delivery.message.body.as_ref().map_or(0, bytes::Bytes::len);
        let lineage = past.lineage(&delivery.message);
        let provenance = envelope::provenance(&delivery.message, author, there);
        if matches!(provenance.standing, PriorDecision::Approved { .. }) {
            self.aside.approved(received);
        }
        self.observer.note(|| told::seen(&delivery.message, &past, enqueued, &subjects));
        let trace = trace.map(|(trace, _)| trace);
        let (unsettled, message) = delivery.split();
        let arrival = Arrival {
            message: LockedDelivery { unsettled, message, subjects, enqueued, received, trace },
            lock,
            taken,
            jitter: jitter(),
            locked_for: self.queue.lock_length(),
            bytes,
            enqueued,
            age: Duration::try_from(there.duration_since(past.since.unwrap_or(there))).unwrap_or_default(),
            lineage,
            urgency: past.urgency,
            provenance,
            intake,
        };
        self.engine.arrived(arrival, moment);
    }

    /// Does everything that the engine asks for now. Returns when to ask again, at the latest, if nothing happens before.
    fn carry_out(&mut self, now: Now) -> Instant {
        self.settlements.tell_settled();
        loop {
            let effect = match self.engine.next(now.moment) {
                Step::Do(effect) => effect,
                Step::Wait(until) => {
                    let beat = now.instant + BEAT;
                    return until.map_or(beat, |until| beat.min(self.epoch.instant(until)));
                }
            };
            match effect {
                Effect::Write { write, changes } => self.apply(write, changes),
                Effect::Settle { message, outcome } => {
                    if let Outcome::HeldAside(streams) = &outcome {
                        self.aside.held(streams, message.enqueued, now.instant);
                    }
                    self.settlements.settle(message, outcome, now.instant);
                }
                Effect::Renew(locks) => {
                    self.renewals.spawn(renew(Arc::clone(&self.queue), locks));
                }
                Effect::Verify(write) => self.look(write),
                Effect::Find { lock, queries } => self.find(lock, queries),
                Effect::Read { batch, rows } => self.read_rows(batch, rows),
                Effect::Probe => {
                    let directory = Arc::clone(&self.directory);
                    self.probe.spawn(async move { directory.probe().await });
                }
            }
        }
    }

    /// apply → outcome.
    fn write_ended(&mut self, ended: WriteEnded, now: Now) {
        let (user, WriteAnswer { written, result, cause, failed }) = match ended {
            WriteEnded::Answered(user, answer) => (user, answer),
            WriteEnded::NotBegun(user) => return self.engine.write_not_begun(user, now.moment),
        };
        self.observer.written(written);
        if let Some(failed) = &failed {
            self.observer.failing(failed);
        }
        let failed = result.is_err();
        self.follow_role();
        self.engine.write_ended(user, result, now.moment, jitter());
        if failed && self.engine.state(now.moment) == State::Paused {
            self.state.fault(&self.engine, cause);
        }
    }

    fn settled(&mut self, end: End, now: Now) {
        let there = self.observer.times.at_service_bus(ClockReading { instant: now.instant, wall: now.wall });
        if let Some(lock) = self.settlements.ended(end, now.instant, there) {
            self.engine.settled(lock);
        }
    }

    fn renewed(&mut self, answers: Result<Vec<(LockToken, Renewal)>, JoinError>) {
        // There is always an answer: a panic is caught before.
        let answers = answers.unwrap_or_default();
        let now = self.now().moment;
        let (locks, lost) = (answers.len(), self.engine.renewed(answers, now));
        for _ in 0..lost {
            self.observer.lock_lost();
        }
        tracing::debug!(locks, lost, "locks renewed");
    }

    fn intake_failed(&mut self, error: &servicebus::Error) {
        if matches!(error, servicebus::Error::Closed) {
            self.closed = true;
            return;
        }
        self.failures.tell(error, Instant::now());
    }

    fn probe_ended(&mut self, probed: Result<Result<(), graph::Error>, JoinError>) {
        let well = match probed {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(error = %chain(&error), "the probe failed");
                false
            }
            Err(_) => false,
        };
        let now = self.now().moment;
        self.engine.probed(well, now, jitter());
    }

    /// Stops intake, gives back what was not begun, and waits for what was, within the grace time.
    async fn drain(&mut self) {
        self.queue.set_credit(0);
        let now = self.now().moment;
        self.engine.stop(now);
        let deadline = Instant::now() + self.policy.grace;
        loop {
            let now = self.now();
            self.take_role(now);
            let wake = self.carry_out(now);
            self.state.turn(&self.engine, Phase::Draining, now);
            if self.writes.is_empty() && self.settlements.is_idle() {
                return;
            }
            tokio::select! {
                Some(ended) = self.writes.next() => self.write_ended(ended, self.now()),
                Some(end) = self.settlements.next() => self.settled(end, self.now()),
                Some(answers) = self.renewals.join_next() => self.renewed(answers),
                event = changed(&mut self.lease) => self.lease_changed(&event),
                () = sleep_until(wake) => {}
                () = sleep_until(deadline) => {
                    tracing::warn!(
                        writes = self.writes.len(),
                        "the grace time is over; what is under way will be delivered again",
                    );
                    return;
                }
            }
        }
    }

    fn now(&self) -> Now {
        let instant = Instant::now();
        Now { instant, moment: self.epoch.moment(instant), wall: clock::now() }
    }
}

/// The next change of the lease, if there is one to hold.
async fn changed(lease: &mut Option<LeaseSeat>) -> SeatEvent {
    match lease {
        Some(seat) => seat.event().await,
        None => std::future::pending().await,
    }
}

/// The users whom a message means by its plan.
fn meant(intake: &Intake) -> impl Iterator<Item = UserId> {
    let planned = match intake {
        Intake::Work(planned, _) => &**planned,
        Intake::Settle(_) | Intake::LookUp(_) | Intake::Read(_) => &[],
    };
    planned.iter().map(|write| write.user)
}

/// Evenly from 0 to 1.
fn jitter() -> f64 {
    rand::random()
}

/// A panic in a call to Graph is that write's failure: tried again for a moment, then dead-lettered.
fn panicked(patience: GracePeriods) -> Failure {
    Failure { class: Class::Transient, dead_letter: internal(), grace: Some(patience.brief), suspicion: None }
}

#[cfg(test)]
mod tests;
