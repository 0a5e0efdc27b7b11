//! What time does to a lease, what is wanted when, and what can be seen of it.

use super::{Clocks, DoubtCause, Fence, Lease, LeaseEvent, LeaseRecord, Phase, Role, Todo, requests::What};
use crate::monotonic_time::MonotonicTime;

impl Lease {
    /// What it is to the other replicas.
    #[must_use]
    pub fn role(&self, now: Clocks) -> Role {
        match self.phase {
            Phase::Asking | Phase::Lost | Phase::Leaving { .. } | Phase::Left => Role::Standby,
            Phase::Quiet | Phase::Holding if self.fence().holds(now) => Role::Writer,
            Phase::Granted | Phase::Quiet => Role::Entering,
            Phase::Holding | Phase::Doubting(_) => Role::Doubting,
        }
    }

    /// The term that is held, or in doubt.
    #[must_use]
    pub fn term(&self) -> Option<u64> {
        matches!(self.phase, Phase::Quiet | Phase::Holding | Phase::Doubting(_)).then_some(self.term)
    }

    /// When writes may be started, as known now.
    #[must_use]
    pub fn fence(&self) -> Fence {
        match self.phase {
            Phase::Quiet | Phase::Holding => Fence::Open {
                term: self.term,
                from: self.quiet_until,
                since: self.sure_since,
                span: self.policy.sure,
            },
            _ => Fence::Shut,
        }
    }

    /// What the service says is wrong with the installation, if that is why there is no lease.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// When another replica was last seen to have the lease.
    #[must_use]
    pub fn held_by_another(&self) -> Option<MonotonicTime> {
        self.held_by_another
    }

    pub(super) fn is_sure(&self, now: Clocks) -> bool {
        !now.left(self.sure_since, self.policy.sure).is_zero()
    }

    fn is_alive(&self, now: Clocks) -> bool {
        now.monotonic - self.alive < self.policy.alive_within
    }

    /// Brings everything up to this moment.
    pub(super) fn pass(&mut self, now: Clocks) {
        let cause = if self.is_alive(now) { DoubtCause::Unanswered } else { DoubtCause::NoSignOfLife };
        if matches!(self.phase, Phase::Quiet | Phase::Holding) && !self.is_sure(now) {
            self.doubt(cause);
        }
        if now.left(self.sure_since, self.policy.lost).is_zero() {
            match self.phase {
                Phase::Granted => {
                    self.phase = Phase::Asking;
                    self.requests.abandon_link();
                }
                Phase::Doubting(cause) => self.lose(cause),
                _ => {}
            }
        }
        if self.phase == Phase::Quiet && self.quiet_until <= now.monotonic {
            (self.phase, self.held) = (Phase::Holding, true);
            self.events.push_back(LeaseEvent::Holding);
        }
    }

    /// When [`Self::pass`] will change something.
    pub(super) fn changes_at(&self, now: Clocks) -> Option<MonotonicTime> {
        let ends = |span| now.monotonic + now.left(self.sure_since, span);
        match self.phase {
            Phase::Quiet => Some(self.quiet_until.min(ends(self.policy.sure))),
            Phase::Holding => Some(ends(self.policy.sure)),
            Phase::Granted | Phase::Doubting(_) => Some(ends(self.policy.lost)),
            _ => None,
        }
    }

    /// The request that is wanted next, and when.
    pub(super) fn wanted(&self, now: Clocks) -> Option<(MonotonicTime, What)> {
        if self.requests.is_abandoned() {
            return Some((now.monotonic, What::Close));
        }
        let alive = self.is_alive(now);
        match self.phase {
            Phase::Lost | Phase::Left => None,
            Phase::Leaving { goodbye, .. } => goodbye.then_some((now.monotonic, What::Goodbye)),
            _ if !self.requests.is_linked() => alive.then_some((self.ask_at, What::Accept)),
            _ => {
                let renewal = alive.then_some((self.renew_at, What::Renew));
                let other = match self.todo {
                    Todo::Nothing => None,
                    Todo::Read => Some((self.todo_at, What::Read)),
                    Todo::Write => Some((self.todo_at, What::Write)),
                };
                renewal.into_iter().chain(other).min_by_key(|(at, _)| *at)
            }
        }
    }

    /// The record of this term.
    pub(super) fn record(&mut self, clean: bool, now: Clocks) -> LeaseRecord {
        self.told = (self.budget.map_or(f64::INFINITY, |budget| budget.rate), now.monotonic);
        LeaseRecord {
            term: self.term,
            holder: self.holder.clone(),
            since: self.since,
            clean,
            budget: self.budget,
            at: now.wall,
            others: self.others.clone(),
        }
    }

    pub(super) fn doubt(&mut self, cause: DoubtCause) {
        self.phase = Phase::Doubting(cause);
        self.events.push_back(LeaseEvent::Doubting(cause));
    }

    pub(super) fn resume(&mut self) {
        self.phase = if self.held { Phase::Holding } else { Phase::Quiet };
        self.events.push_back(LeaseEvent::Resumed);
    }

    pub(super) fn lose(&mut self, cause: DoubtCause) {
        self.phase = Phase::Lost;
        self.requests.abandon_link();
        self.events.push_back(LeaseEvent::Lost(cause));
    }
}
