//! Which of several replicas writes: everything one of them decides about it, without doing any of it.
//!
//! The lease is the lock of one session of Service Bus, and its state is the [`LeaseRecord`]. The shell carries out what
//! [`Lease::next`] asks for, reports how it ended, and hands on what [`Lease::event`] tells. Whether a write may be
//! started says the [`Fence`], which closes by itself: nobody needs to hear from anybody for that.
//!
//! Two replicas never start writes at the same time. Every renewal that was answered well was sent before a successor was
//! granted the session, and writes are started for [`LeasePolicy::sure`] after it was sent; a successor that finds no
//! goodbye waits for [`LeasePolicy::quiet`], which is longer than that even if one clock is slow and the other fast.

mod api;
mod clocks;
mod leaving;
mod name;
mod policy;
mod record;
mod requests;
#[cfg(test)]
mod tests;
mod time;

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::{
    api::{Accepted, DoubtCause, LeaseAction, LeaseAnswer, LeaseEvent, Role},
    clocks::{Clocks, Fence},
    name::session_name,
    policy::LeasePolicy,
    record::{Budget, Holder, LeaseRecord},
};
use self::{
    record::Found,
    requests::{Requests, What},
};
use crate::{
    monotonic_time::MonotonicTime,
    step::{Step, earliest},
};

/// The decisions of one replica about its lease.
#[derive(Debug)]
pub struct Lease {
    policy: LeasePolicy,
    holder: Holder,
    phase: Phase,
    requests: Requests,
    /// What the link is wanted for besides renewals.
    todo: Todo,
    todo_at: MonotonicTime,
    ask_at: MonotonicTime,
    renew_at: MonotonicTime,
    /// When the last renewal that was answered, or the attach, was sent.
    sure_since: Clocks,
    granted: MonotonicTime,
    alive: MonotonicTime,
    /// The term that was begun last, here.
    term: u64,
    /// The greatest term that was seen anywhere.
    last_term: u64,
    since: Timestamp,
    /// Whether writes could be started in this term.
    held: bool,
    quiet_until: MonotonicTime,
    looks_until: MonotonicTime,
    /// Told with the event once the record is written.
    found: Option<(Option<LeaseRecord>, bool)>,
    others: Map<String, Value>,
    /// Whether calls of ours were cut off since they could last disturb nobody.
    cut_off: bool,
    budget: Option<Budget>,
    /// The rate that the record tells, and when it was written.
    told: (f64, MonotonicTime),
    refusals: u32,
    fault: Option<String>,
    held_by_another: Option<MonotonicTime>,
    yielded: Option<MonotonicTime>,
    events: VecDeque<LeaseEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Another one has it, as far as is known.
    Asking,
    /// The session is ours, the record is not yet. Nobody was told.
    Granted,
    /// The record is ours, and a predecessor may still start writes.
    Quiet,
    Holding,
    Doubting(DoubtCause),
    /// Until the shell has given everything back.
    Lost,
    /// Until the link is closed, and before that the goodbye is written. Without a time to ask again it is for good.
    Leaving {
        goodbye: bool,
        back: Option<MonotonicTime>,
    },
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Todo {
    Nothing,
    Read,
    Write,
}

impl Lease {
    /// A replica that just started, and is alive.
    #[must_use]
    pub fn new(policy: LeasePolicy, holder: Holder, now: Clocks) -> Self {
        Self {
            policy,
            holder: holder.bounded(),
            phase: Phase::Asking,
            requests: Requests::default(),
            todo: Todo::Nothing,
            todo_at: now.monotonic,
            ask_at: now.monotonic,
            renew_at: now.monotonic,
            sure_since: now,
            granted: now.monotonic,
            alive: now.monotonic,
            term: 0,
            last_term: 0,
            since: now.wall,
            held: false,
            quiet_until: now.monotonic,
            looks_until: now.monotonic,
            found: None,
            others: Map::new(),
            cut_off: false,
            budget: None,
            told: (f64::INFINITY, now.monotonic),
            refusals: 0,
            fault: None,
            held_by_another: None,
            yielded: None,
            events: VecDeque::new(),
        }
    }

    /// What to do next, or until when there is nothing if nothing happens before. To be asked after each report, when
    /// that time comes, and first of all whenever the machine may have slept.
    pub fn next(&mut self, now: Clocks) -> Step<LeaseAction> {
        self.pass(now);
        let wanted = self.wanted(now).filter(|_| !self.requests.is_busy());
        if let Some((at, what)) = wanted
            && at <= now.monotonic
        {
            self.requests.send(what, now);
            return Step::Do(match what {
                What::Accept => LeaseAction::Accept,
                What::Read => LeaseAction::ReadRecord,
                What::Write => LeaseAction::WriteRecord(self.record(false, now)),
                What::Goodbye => LeaseAction::WriteRecord(self.record(true, now)),
                What::Renew => LeaseAction::Renew,
                What::Close => LeaseAction::Close,
            });
        }
        Step::Wait(earliest([self.changes_at(now), wanted.map(|(at, _)| at)]))
    }

    /// The next change that the rest of the worker has not heard of.
    pub fn event(&mut self) -> Option<LeaseEvent> {
        self.events.pop_front()
    }

    /// An attach ended. `jitter` is drawn evenly from 0 to 1.
    pub fn accepted(&mut self, answer: Accepted, now: Clocks, jitter: f64) {
        let Some((_, sent)) = self.requests.ended(&[What::Accept]) else { return };
        let later = now.monotonic + self.policy.ask.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
        match answer {
            Accepted::Granted => self.grant(sent, now),
            Accepted::HeldByAnother => {
                self.held_by_another = Some(now.monotonic);
                self.ask_at = later;
                if matches!(self.phase, Phase::Doubting(_)) {
                    self.lose(DoubtCause::HeldByAnother);
                }
            }
            Accepted::Unanswered => self.ask_at = later,
            Accepted::Refused(_) => {
                let failures = self.refusals.saturating_add(1);
                self.ask_at = now.monotonic + self.policy.refused.wait(failures, jitter);
            }
        }
        match answer {
            Accepted::Granted | Accepted::HeldByAnother => (self.refusals, self.fault) = (0, None),
            Accepted::Refused(text) => {
                (self.refusals, self.fault) = (self.refusals.saturating_add(1), Some(text));
            }
            Accepted::Unanswered => {}
        }
        self.finish_leaving();
    }

    fn grant(&mut self, sent: Clocks, now: Clocks) {
        self.requests.granted();
        match self.phase {
            Phase::Asking => self.phase = Phase::Granted,
            Phase::Doubting(_) => {}
            _ => return self.requests.abandon_link(),
        }
        (self.sure_since, self.granted) = (sent, now.monotonic);
        self.renew_at = sent.monotonic + self.policy.renew_every;
        // Somebody may have been there in between, whoever had the session before.
        (self.todo, self.todo_at) = (Todo::Read, now.monotonic);
    }

    /// The state of the session was read; `None` in it if it never had one.
    pub fn record_read(&mut self, answer: LeaseAnswer<Option<&[u8]>>, now: Clocks) {
        let Some((_, sent)) = self.requests.ended(&[What::Read]) else { return };
        match answer {
            LeaseAnswer::Answered(state) => {
                let found = Found::read(state);
                match self.phase {
                    Phase::Granted => self.enter(found, now),
                    Phase::Doubting(_) if found.is_of(&self.holder, self.term) => {
                        self.todo = Todo::Nothing;
                        if self.is_sure(now) {
                            self.resume();
                        }
                    }
                    Phase::Doubting(_) => self.lose(DoubtCause::HeldByAnother),
                    _ => {}
                }
            }
            LeaseAnswer::Lost => self.lock_lost(now),
            LeaseAnswer::Unanswered => self.todo_at = sent.monotonic + self.policy.renew_every,
        }
    }

    /// The session is ours, and this stood in it.
    fn enter(&mut self, found: Found, now: Clocks) {
        let own = self.term > 0 && found.is_of(&self.holder, self.term);
        // After an own record the quiet time that was begun for it goes on: whoever was before may not be done yet.
        let unclean = if own { self.cut_off } else { found.is_unclean() };
        if unclean {
            self.quiet_until = self.granted + self.policy.quiet;
            self.looks_until = self.quiet_until + self.policy.calls_end_within;
        }
        self.last_term = self.last_term.max(found.term()).saturating_add(1);
        (self.term, self.since) = (self.last_term, now.wall);
        let (predecessor, others) = found.into_parts();
        if !own {
            self.budget = predecessor.as_ref().and_then(|record| record.budget_at(now.wall, unclean));
        }
        self.others = others;
        self.found = Some((predecessor, unclean));
        (self.todo, self.todo_at) = (Todo::Write, now.monotonic);
    }

    /// The state of the session was written.
    pub fn record_written(&mut self, answer: LeaseAnswer<()>, now: Clocks) {
        let Some((what, sent)) = self.requests.ended(&[What::Write, What::Goodbye]) else { return };
        match (self.phase, answer) {
            (Phase::Leaving { back, .. }, answer) => {
                // What was asked for before the goodbye tells nothing about the goodbye.
                if what == What::Goodbye || answer == LeaseAnswer::Lost {
                    self.phase = Phase::Leaving { goodbye: false, back };
                    self.requests.abandon_link();
                }
            }
            (_, LeaseAnswer::Lost) => self.lock_lost(now),
            (_, LeaseAnswer::Unanswered) => self.todo_at = sent.monotonic + self.policy.renew_every,
            (phase, LeaseAnswer::Answered(())) => {
                self.todo = Todo::Nothing;
                if phase == Phase::Granted {
                    self.begin();
                }
            }
        }
    }

    /// The record shows the new term.
    fn begin(&mut self) {
        let Some((predecessor, unclean)) = self.found.take() else { return };
        (self.phase, self.held, self.cut_off) = (Phase::Quiet, false, false);
        self.events.push_back(LeaseEvent::Entered {
            term: self.term,
            quiet_until: self.quiet_until,
            looks_until: self.looks_until,
            predecessor: predecessor.map(Box::new),
            budget: self.budget,
            unclean,
        });
    }

    /// The lock of the session was renewed, or was not.
    pub fn renewed(&mut self, answer: LeaseAnswer<()>, now: Clocks) {
        let Some((_, sent)) = self.requests.ended(&[What::Renew]) else { return };
        self.renew_at = sent.monotonic + self.policy.renew_every;
        match answer {
            LeaseAnswer::Answered(()) => {
                self.sure_since = sent;
                // A link that never ended needs no look at the record: nobody was there in between.
                if matches!(self.phase, Phase::Doubting(_)) && self.todo != Todo::Read && self.is_sure(now) {
                    self.resume();
                }
            }
            LeaseAnswer::Lost => self.lock_lost(now),
            LeaseAnswer::Unanswered => {}
        }
    }

    /// The link was closed, or given up.
    pub fn closed(&mut self) {
        if self.requests.ended(&[What::Close]).is_some() {
            self.requests.link_ended();
            self.finish_leaving();
        }
    }

    /// The link, or its connection, ended by itself. What was asked for by it is not answered any more.
    pub fn link_ended(&mut self, now: Clocks) {
        if self.requests.link_ended() {
            self.attach_again(DoubtCause::LinkEnded, now);
        }
        self.finish_leaving();
    }

    fn lock_lost(&mut self, now: Clocks) {
        // Renewing by a link that lost the session is no use, and somebody may have been there in between.
        self.requests.abandon_link();
        self.attach_again(DoubtCause::LockLost, now);
    }

    fn attach_again(&mut self, cause: DoubtCause, now: Clocks) {
        self.ask_at = self
            .requests
            .last_accept()
            .map_or(now.monotonic, |sent| now.monotonic.max(sent.monotonic + self.policy.again));
        match self.phase {
            Phase::Granted => self.phase = Phase::Asking,
            Phase::Quiet | Phase::Holding => self.doubt(cause),
            _ => {}
        }
    }

    /// The pipeline is alive.
    pub fn alive(&mut self, now: Clocks) {
        self.alive = now.monotonic;
    }

    /// What is left of the budget. The record is rewritten when the rate falls, but not often.
    pub fn budget(&mut self, budget: Budget, now: Clocks) {
        self.budget = Some(budget);
        let (rate, since) = self.told;
        if self.phase == Phase::Holding && self.todo == Todo::Nothing && budget.rate < rate {
            (self.todo, self.todo_at) = (Todo::Write, now.monotonic.max(since + self.policy.rewrite_every));
        }
    }
}
