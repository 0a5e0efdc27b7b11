//! Carries out what the lease asks for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use servicebus::{HeldSession, SessionError, SessionQueue, clock};
use shared::{
    lease::{
        Accepted, Clocks, DoubtCause, Fence, Holder, Lease, LeaseAction, LeaseAnswer, LeaseEvent,
        LeasePolicy, Role, session_name,
    },
    monotonic_time::MonotonicTime,
    reason::chain,
    step::Step,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Common, LeaseSeat, Order, SeatEvent};
use crate::{
    run::epoch::Epoch,
    telemetry::{
        Observer,
        health::{BEAT, HealthFault},
        labels::{LeaseChange, LeaseRenewal},
    },
};

/// What a lease is about.
pub(crate) struct LeaseOptions {
    /// The queue with sessions.
    pub queue: SessionQueue,
    /// Address of what messages come from; replicas that take messages from it share the lease.
    pub intake: Box<str>,
    /// This replica.
    pub holder: Holder,
    /// How patient it is.
    pub policy: LeasePolicy,
}

/// Nobody is known to write for so long: that has to be told.
const UNKNOWN: Duration = Duration::from_mins(1);

/// How a request to the session ended.
enum Answer {
    Accepted(Result<Option<HeldSession>, SessionError>),
    Read(Result<Option<Bytes>, SessionError>),
    Written(Result<(), SessionError>),
    Renewed(Result<(), SessionError>),
    Closed,
}

struct Keeper {
    lease: Lease,
    name: String,
    queue: SessionQueue,
    common: Arc<Common>,
    /// The session, while it is ours.
    session: Option<Arc<HeldSession>>,
    request: Option<BoxFuture<'static, Answer>>,
    events: mpsc::UnboundedSender<SeatEvent>,
    orders: mpsc::UnboundedReceiver<Order>,
    observer: Arc<Observer>,
    /// When it was last known who writes.
    known: Instant,
    granted: Option<Instant>,
    /// Whether the worker stops.
    leaving: bool,
    left: bool,
}

/// Begins to ask for the lease.
pub(crate) fn start(options: LeaseOptions, epoch: Epoch, observer: Arc<Observer>) -> LeaseSeat {
    let LeaseOptions { queue, intake, holder, policy } = options;
    let now = Mutex::new((Fence::Shut, Role::Standby));
    let common = Arc::new(Common { epoch, now, alive: AtomicU64::new(0) });
    let (tell, events) = mpsc::unbounded_channel();
    let (orders, hear) = mpsc::unbounded_channel();
    let keeper = Keeper {
        lease: Lease::new(policy, holder, common.clocks()),
        name: session_name(&intake),
        queue,
        common: Arc::clone(&common),
        session: None,
        request: None,
        events: tell,
        orders: hear,
        observer,
        known: Instant::now(),
        granted: None,
        leaving: false,
        left: false,
    };
    LeaseSeat { common, events, orders, keeper: tokio::spawn(keeper.run()), told: None }
}

impl Keeper {
    async fn run(mut self) {
        while !self.left {
            let wake = self.advance();
            tokio::select! {
                answer = answered(&mut self.request) => self.heard(answer),
                () = ended(self.session.as_deref()) => {
                    self.session = None;
                    let now = self.common.clocks();
                    self.lease.link_ended(now);
                }
                order = self.orders.recv(), if !self.leaving => match order {
                    Some(order) => self.obey(order),
                    // The pipeline is gone without a word; the lease ends with its link.
                    None => return,
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Begins what the lease asks for, tells what has changed, and says when to look again.
    fn advance(&mut self) -> Instant {
        let alive = self.common.alive.load(Relaxed);
        let now = self.common.clocks();
        let alive = MonotonicTime::after_start(Duration::from_millis(alive));
        self.lease.alive(Clocks { monotonic: alive, ..now });
        let until = loop {
            match self.lease.next(now) {
                Step::Do(action) => self.begin(action),
                Step::Wait(until) => break until,
            }
        };
        self.tell(now);
        // Without a request under way, the next is the one that is waited for.
        let again = until.filter(|_| self.request.is_none());
        let again = again.and_then(|again| clock::now().checked_add(again - now.monotonic).ok());
        self.observer.health.tries.set("lease", again);
        let beat = Instant::now() + BEAT;
        until.map_or(beat, |until| beat.min(self.common.epoch.instant(until)))
    }

    /// Tells what has changed. The fence first: whoever hears of an event must find it as it is.
    fn tell(&mut self, now: Clocks) {
        let (fence, role) = (self.lease.fence(), self.lease.role(now));
        self.common.publish(fence, role);
        let metrics = &self.observer.metrics;
        metrics.lease_remaining.set(fence.left(now).as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "no lease changes hands 2^52 times")]
        metrics.lease_term.set(fence.term().map_or(0.0, |term| term as f64));
        while let Some(event) = self.lease.event() {
            self.log(&event);
            self.left |= event == LeaseEvent::Left && self.leaving;
            // An error means that the pipeline has ended.
            self.events.send(SeatEvent::Lease(event)).ok();
        }
        self.tell_faults(role);
    }

    fn tell_faults(&mut self, role: Role) {
        if role != Role::Standby {
            self.known = Instant::now();
        }
        let fault = self.lease.fault().map(ToOwned::to_owned);
        let silent = self.known.elapsed() > UNKNOWN;
        let fault = match fault {
            Some(text) => Some(HealthFault {
                text: format!("the lease cannot be had: {text}"),
                remedy: "mend replicas.lease_queue; the worker asks again by itself, messages stay in the queue",
            }),
            None if silent => Some(HealthFault {
                text: "for a minute it has not been known which replica writes".into(),
                remedy: "see that the namespace can be reached; the worker asks again by itself",
            }),
            None => None,
        };
        self.observer.health.lease(fault);
    }

    fn begin(&mut self, action: LeaseAction) {
        let (queue, name) = (self.queue.clone(), self.name.clone());
        if action == LeaseAction::Accept {
            // Whatever link there was is done with.
            self.session = None;
        }
        let held = self.session.clone();
        self.request = Some(match (action, held) {
            (LeaseAction::Accept, _) => Box::pin(async move { Answer::Accepted(queue.accept(&name).await) }),
            (LeaseAction::ReadRecord, Some(session)) => {
                Box::pin(async move { Answer::Read(session.state().await) })
            }
            (LeaseAction::WriteRecord(record), Some(session)) => Box::pin(async move {
                Answer::Written(session.set_state(Some(record.to_json().as_bytes())).await)
            }),
            (LeaseAction::Renew, Some(session)) => {
                Box::pin(async move { Answer::Renewed(session.renew().await.map(drop)) })
            }
            (LeaseAction::Close, session) => {
                self.session = None;
                let session = session.and_then(Arc::into_inner);
                Box::pin(async move {
                    if let Some(session) = session {
                        session.close().await;
                    }
                    Answer::Closed
                })
            }
            (LeaseAction::ReadRecord, None) => gone(Answer::Read(Err(SessionError::Lost))),
            (LeaseAction::WriteRecord(_), None) => gone(Answer::Written(Err(SessionError::Lost))),
            (LeaseAction::Renew, None) => gone(Answer::Renewed(Err(SessionError::Lost))),
        });
    }

    fn heard(&mut self, answer: Answer) {
        self.request = None;
        let now = self.common.clocks();
        match answer {
            Answer::Accepted(accepted) => {
                let accepted = match accepted {
                    Ok(Some(session)) => {
                        self.session = Some(Arc::new(session));
                        self.granted = Some(Instant::now());
                        Accepted::Granted
                    }
                    Ok(None) => {
                        self.known = Instant::now();
                        Accepted::HeldByAnother
                    }
                    Err(SessionError::Refused { what, cause }) => {
                        tracing::warn!(error = %chain(&cause), "the lease cannot be had: {what}");
                        Accepted::Refused(what.into())
                    }
                    Err(error) => {
                        tracing::debug!(error = %chain(&error), "the lease was asked for without an answer");
                        Accepted::Unanswered
                    }
                };
                self.lease.accepted(accepted, now, rand::random());
            }
            Answer::Read(read) => self.lease.record_read(lease_answer(read).as_deref(), now),
            Answer::Written(written) => self.lease.record_written(lease_answer(written), now),
            Answer::Renewed(renewed) => {
                let answer = lease_answer(renewed);
                let result = match answer {
                    LeaseAnswer::Answered(()) => LeaseRenewal::Renewed,
                    LeaseAnswer::Lost => LeaseRenewal::Refused,
                    LeaseAnswer::Unanswered => LeaseRenewal::Unanswered,
                };
                self.observer.metrics.lease_renewals.of(result).add(1);
                self.lease.renewed(answer, now);
            }
            Answer::Closed => self.lease.closed(),
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.common.clocks();
        match order {
            Order::Budget(budget) => self.lease.budget(budget, now),
            Order::Unable(since) => {
                if self.lease.should_give_way(since, now) {
                    self.events.send(SeatEvent::GiveWay).ok();
                }
            }
            Order::GivenBack { cut_off } => self.lease.given_back(cut_off, now),
            Order::GiveWay { budget, cut_off } => {
                self.count(LeaseChange::Yielded);
                self.lease.give_way(cut_off, budget, now);
            }
            Order::Leave { budget, cut_off } => {
                self.leaving = true;
                self.lease.leave(cut_off, budget, now);
            }
        }
    }

    /// One line for each change, with its term and cause.
    fn log(&mut self, event: &LeaseEvent) {
        match event {
            LeaseEvent::Entered { term, predecessor, unclean, .. } => {
                self.count(LeaseChange::Granted);
                let before = predecessor.as_ref().map_or("nobody", |record| &*record.holder.name);
                let left = if *unclean {
                    "without a goodbye; writes begin after a quiet time"
                } else {
                    "in good order"
                };
                tracing::info!(
                    lease.term = term,
                    lease.predecessor = before,
                    "the lease was granted; its last holder left {left}"
                );
            }
            LeaseEvent::Holding => {
                let took = self.granted.take().map(|granted| granted.elapsed()).unwrap_or_default();
                self.observer.metrics.lease_takeover.record_time(took);
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(
                    lease.term = self.lease.term(),
                    lease.takeover_ms = took_ms,
                    "this replica is the writer now"
                );
            }
            LeaseEvent::Doubting(cause) => tracing::warn!(
                lease.term = self.lease.term(),
                "this replica is not sure to be the writer any more, because {}; no write starts until it is",
                why(*cause),
            ),
            LeaseEvent::Resumed => {
                tracing::info!(lease.term = self.lease.term(), "this replica is still the writer");
            }
            LeaseEvent::Lost(cause) => {
                self.count(match cause {
                    DoubtCause::Unanswered | DoubtCause::NoSignOfLife => LeaseChange::LostTime,
                    DoubtCause::LinkEnded | DoubtCause::HeldByAnother => LeaseChange::LostLink,
                    DoubtCause::LockLost => LeaseChange::LostLock,
                });
                tracing::warn!("the lease is lost, because {}; all messages are given back", why(*cause));
            }
            LeaseEvent::Left => {
                if self.leaving {
                    self.count(LeaseChange::Left);
                }
                tracing::info!("the lease was given back");
            }
        }
    }

    fn count(&self, why: LeaseChange) {
        self.observer.metrics.lease_changes.of(why).add(1);
    }
}

fn why(cause: DoubtCause) -> &'static str {
    match cause {
        DoubtCause::Unanswered => "service bus did not answer in time",
        DoubtCause::NoSignOfLife => "the pipeline gave no sign of life",
        DoubtCause::LinkEnded => "the link to the lease queue ended",
        DoubtCause::LockLost => "service bus says that the lock is lost",
        DoubtCause::HeldByAnother => "another replica holds it",
    }
}

fn lease_answer<T>(answer: Result<T, SessionError>) -> LeaseAnswer<T> {
    match answer {
        Ok(answer) => LeaseAnswer::Answered(answer),
        Err(SessionError::Lost) => LeaseAnswer::Lost,
        Err(error) => {
            tracing::debug!(error = %chain(&error), "a question about the lease has no answer");
            LeaseAnswer::Unanswered
        }
    }
}

/// The session ended before the request was made.
fn gone(answer: Answer) -> BoxFuture<'static, Answer> {
    Box::pin(std::future::ready(answer))
}

async fn answered(request: &mut Option<BoxFuture<'static, Answer>>) -> Answer {
    match request {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

async fn ended(session: Option<&HeldSession>) {
    match session {
        Some(session) => drop(session.ended().await),
        None => std::future::pending().await,
    }
}
