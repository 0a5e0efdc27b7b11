//! The path of a message: receive → decode → plan → lane → apply → verdict → settle, one function per arrow.
//!
//! One task owns all of it and everything that has to be decided; what takes time (writes, settlements,
//! renewals, probes) runs beside it and reports back. So no lock is shared and no decision races another.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use shared::{
    class::Class,
    gate::{Gate, State},
    ids::{LockToken, UserId},
    lanes::{self, Failure, Lanes, Next, Outcome, Verdict, Work},
    moment::Moment,
    pace::Pace,
    patch::{UserPatch, UserWrite},
    plan::Planner,
    reason::{DeadLetter, DeadLetterReason, chain},
    register::Stamp,
    version::Version,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    bus::{self, Delivery, Queue},
    clock,
    config::Settings,
    graph::{self, Applied, Directory, Patience},
    pool::{
        held::{Finished, HeldMessages},
        intake::{Intake, read},
        locks::LockKeeper,
        returns::Past,
        settling::Settler,
        tally::{Ending, Tally},
    },
};

/// Patience and bounds, from the settings.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What to write for a change.
    pub planner: Planner,
    /// Bounds of the lanes.
    pub lanes: lanes::Limits,
    /// Bounds of the gate.
    pub gate: shared::gate::Limits,
    /// Write budget.
    pub pace: Pace,
    /// Patience with answers of Graph that may pass.
    pub patience: Patience,
    /// Waits before a message that was handed back comes again.
    pub returns: shared::backoff::Backoff,
    /// Age after which a failing message is dead-lettered.
    pub max_age: Duration,
    /// Time to finish at shutdown.
    pub grace: Duration,
}

/// Patience with a conflict or an overload that Graph reports for one write; longer waits are the ladder's.
const BRIEF: Duration = Duration::from_secs(30);

impl Policy {
    /// The policy that these settings ask for.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            planner: settings.planner.clone(),
            lanes: settings.lane_limits(),
            gate: settings.gate_limits(),
            pace: Pace::new(settings.throttle.writes_per_second, settings.throttle.burst),
            patience: Patience { not_found: settings.retry.not_found_grace, brief: BRIEF },
            returns: settings.retry.returns,
            max_age: settings.retry.max_age,
            grace: settings.pool.grace,
        }
    }
}

type WriteEnded = (UserId, usize, Result<Applied, Failure>);

/// The worker pool of one replica.
pub struct Pipeline<Q, D> {
    queue: Arc<Q>,
    directory: Arc<D>,
    policy: Policy,
    started: Instant,
    lanes: Lanes<LockToken>,
    held: HeldMessages,
    locks: LockKeeper,
    lost_locks: mpsc::UnboundedReceiver<LockToken>,
    writes: JoinSet<WriteEnded>,
    probe: JoinSet<Result<(), graph::Error>>,
    settler: Settler<Q>,
    tally: Tally,
    told: Option<State>,
    draining: bool,
}

impl<Q: Queue, D: Directory> Pipeline<Q, D> {
    /// A pool that has not begun yet.
    pub fn new(queue: Arc<Q>, directory: Arc<D>, policy: Policy) -> Self {
        let (locks, lost_locks) = LockKeeper::start(Arc::clone(&queue));
        Self {
            lanes: Lanes::new(policy.lanes, Gate::new(policy.gate, policy.pace.clone())),
            settler: Settler::new(Arc::clone(&queue), policy.returns),
            queue,
            directory,
            policy,
            started: Instant::now(),
            held: HeldMessages::default(),
            locks,
            lost_locks,
            writes: JoinSet::new(),
            probe: JoinSet::new(),
            tally: Tally::default(),
            told: None,
            draining: false,
        }
    }

    /// Works until `stop` turns true, then finishes what is under way and says what was done.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Tally {
        while !*stop.borrow() && !self.draining {
            self.step(&mut stop).await;
        }
        self.drain().await;
        self.queue.close().await;
        self.tally
    }

    /// One turn: start what can be started, ask for what fits, and wait for whatever happens first.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) {
        let next = self.dispatch();
        self.report_state();
        self.queue.set_credit(self.credit());
        tokio::select! {
            changed = stop.changed() => if changed.is_err() { self.draining = true },
            received = self.queue.receive() => match received {
                Ok(deliveries) => deliveries.into_iter().for_each(|delivery| self.received(delivery)),
                Err(error) => self.intake_failed(&error),
            },
            Some(ended) = self.writes.join_next() => self.write_ended(ended),
            Some(probed) = self.probe.join_next() => self.probe_ended(probed),
            Some(settled) = self.settler.next() => self.settled(settled),
            Some(lock) = self.lost_locks.recv() => self.lock_lost(lock),
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }

    /// receive → decode → plan: a delivery becomes work in a lane, or is settled at once.
    fn received(&mut self, delivery: Delivery) {
        self.tally.received += 1;
        self.locks.hold(delivery.lock, delivery.locked_until);
        let planner = &self.policy.planner;
        // A panic while one message is read is that message's failure, never the worker's end.
        let intake = std::panic::catch_unwind(AssertUnwindSafe(|| read(&delivery.message, planner)))
            .unwrap_or_else(|_| {
                Intake::Settle(Ending::DeadLettered(DeadLetterReason::InternalError), Some(internal()))
            });
        match intake {
            Intake::Settle(ending, letter) => self.settle_unplanned(delivery, ending, letter),
            Intake::Work(writes) => self.enqueue(delivery, writes),
        }
    }

    /// plan → lane.
    fn enqueue(&mut self, delivery: Delivery, writes: Vec<(UserId, Option<Version>, UserPatch)>) {
        let past = Past::of(&delivery.message);
        let now = clock::now();
        let age = past.first_seen.map_or(Duration::ZERO, |seen| {
            Duration::try_from(now.duration_since(seen)).unwrap_or(Duration::ZERO)
        });
        let deadline = self.now() + self.policy.max_age.saturating_sub(age);
        // A message that does not tell when its change happened is placed by when it reached the queue.
        let arrived = Version::at(past.first_seen.unwrap_or(now));
        let ticket = delivery.lock;
        self.held.hold(delivery, writes.iter().map(|(user, ..)| *user).collect());
        for (user, version, patch) in writes {
            let stamp = Stamp { version: version.unwrap_or(arrived), arrival: past.arrival };
            self.lanes.push(Work { user, stamp, patch, deadline, ticket });
        }
    }

    /// lane → apply: starts every write that may start now. Returns when to look again.
    fn dispatch(&mut self) -> Option<Instant> {
        loop {
            let now = self.now();
            match self.lanes.next(now) {
                Next::Write { write, changes } => self.apply(write, changes),
                Next::Settle(settled) => self.close(settled),
                Next::Wait(until) => {
                    let probe = self.lanes.probe_due().filter(|_| self.probe.is_empty() && !self.draining);
                    if probe.is_some_and(|due| due <= now) {
                        self.start_probe();
                        continue;
                    }
                    let next = [until, probe].into_iter().flatten().min();
                    return next.map(|moment| self.started + moment.since_start());
                }
            }
        }
    }

    /// apply: one write, beside everything else.
    fn apply(&mut self, write: UserWrite, changes: usize) {
        let user = write.user;
        let (directory, patience) = (Arc::clone(&self.directory), self.policy.patience);
        self.writes.spawn(async move {
            let applied = AssertUnwindSafe(directory.apply(&write)).catch_unwind().await;
            let result = match applied {
                Ok(result) => result.map_err(|error| {
                    tracing::debug!(user.id = %user, error = %chain(&error), "a write failed");
                    error.failure(patience)
                }),
                Err(_) => Err(Failure { class: Class::Permanent, dead_letter: internal(), grace: None }),
            };
            (user, changes, result)
        });
    }

    /// apply → verdict.
    fn write_ended(&mut self, ended: Result<WriteEnded, tokio::task::JoinError>) {
        // The task catches panics itself and is never aborted, so there is always an answer.
        let Ok((user, changes, result)) = ended else { return };
        let outcome = match result {
            Ok(Applied { written, superseded }) => {
                if written {
                    self.tally.writes += 1;
                    self.tally.changes_written += changes as u64;
                }
                Outcome::Applied { superseded }
            }
            Err(failure) => {
                self.tally.failed_writes += 1;
                if failure.class == Class::Installation {
                    tracing::warn!(
                        cause = failure.dead_letter.description.as_str(),
                        "the installation is at fault"
                    );
                }
                Outcome::Failed(failure)
            }
        };
        let settled = self.lanes.finished(user, outcome, self.now(), share());
        self.close(settled);
        if self.draining || self.is_paused() {
            self.release_waiting();
        }
    }

    /// verdict → settle: a message is settled when the last of its changes has a verdict.
    fn close(&mut self, settled: Vec<(Work<LockToken>, Verdict)>) {
        for (work, verdict) in settled {
            if let Some(finished) = self.held.close(work.ticket, verdict) {
                self.settle(finished);
            }
        }
    }

    fn settle(&mut self, finished: Finished) {
        self.settler.settle(finished);
    }

    fn settle_unplanned(&mut self, delivery: Delivery, ending: Ending, letter: Option<DeadLetter>) {
        let (unsettled, message) = delivery.split();
        self.settler.settle_as(unsettled, message, ending, letter);
    }

    fn settled(&mut self, (lock, ending): (LockToken, Ending)) {
        self.locks.release(lock);
        self.tally.count(ending);
    }

    fn lock_lost(&mut self, lock: LockToken) {
        self.tally.locks_lost += 1;
        let users = self.held.users(lock).to_vec();
        for user in users {
            let withdrawn = self.lanes.withdraw(user, |ticket| *ticket == lock);
            self.close(withdrawn.into_iter().map(|work| (work, Verdict::Release)).collect());
        }
    }

    fn intake_failed(&mut self, error: &bus::Error) {
        if matches!(error, bus::Error::Closed) {
            self.draining = true;
            return;
        }
        tracing::warn!(error = %chain(error), "no messages can be received; trying again");
    }

    fn start_probe(&mut self) {
        let directory = Arc::clone(&self.directory);
        self.probe.spawn(async move { directory.probe().await });
    }

    fn probe_ended(&mut self, probed: Result<Result<(), graph::Error>, tokio::task::JoinError>) {
        let well = match probed {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(error = %chain(&error), "the probe failed");
                false
            }
            Err(_) => false,
        };
        self.lanes.probed(well, self.now(), share());
    }

    /// Stops intake, gives back what was not started, and waits for what was, within the grace time.
    async fn drain(&mut self) {
        self.draining = true;
        self.queue.set_credit(0);
        let deadline = Instant::now() + self.policy.grace;
        self.release_waiting();
        while !(self.writes.is_empty() && self.settler.is_idle()) {
            tokio::select! {
                Some(ended) = self.writes.join_next() => self.write_ended(ended),
                Some(settled) = self.settler.next() => self.settled(settled),
                () = sleep_until(deadline) => {
                    tracing::warn!(writes = self.writes.len(), "the grace time is over; what is under way will be delivered again");
                    return;
                }
            }
        }
    }

    fn release_waiting(&mut self) {
        let released = self.lanes.release_waiting();
        self.close(released);
    }

    /// How many more messages may come: none while the installation is at fault, and only one at a time
    /// while it is on trial.
    fn credit(&self) -> u32 {
        let room = self.policy.lanes.messages.saturating_sub(self.held.len());
        let room = match self.lanes.gate().state(self.now()) {
            State::Paused => 0,
            State::Trial => room.min(usize::from(self.held.is_empty())),
            State::Open | State::Throttled(_) | State::BreakerOpen => room,
        };
        u32::try_from(room).unwrap_or(u32::MAX)
    }

    fn is_paused(&self) -> bool {
        self.lanes.gate().state(self.now()) == State::Paused
    }

    /// One line per change of state, with what an operator should do.
    fn report_state(&mut self) {
        let state = self.lanes.gate().state(self.now());
        let kind = std::mem::discriminant(&state);
        if self.told.as_ref().map(std::mem::discriminant) == Some(kind) {
            return;
        }
        let first = self.told.replace(state).is_none();
        match state {
            State::Open if first => {}
            State::Open => tracing::info!("writes to graph go on"),
            State::Throttled(_) => tracing::info!("graph asked for time; writes wait for it"),
            State::BreakerOpen => tracing::warn!(
                "writes of many users failed in a row; one at a time is tried until graph is well again"
            ),
            State::Paused => tracing::error!(
                "intake is paused because the installation is at fault; messages stay in the queue; mend the \
                 cause named above, and the worker goes on by itself"
            ),
            State::Trial => tracing::info!("graph can be reached again; trying one message"),
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }
}

/// Evenly from 0 to 1.
fn share() -> f64 {
    rand::random()
}

fn internal() -> DeadLetter {
    DeadLetter::new(
        DeadLetterReason::InternalError,
        "contactsync failed on this message; report it with the log of this moment, then replay the message",
    )
}
