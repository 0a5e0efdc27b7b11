//! Giving the lease up: because it is lost, because the process ends, or so that another replica can try.

use super::{Budget, Clocks, Lease, LeaseEvent, Phase, Todo};
use crate::monotonic_time::MonotonicTime;

impl Lease {
    /// All that was to be given back for [`LeaseEvent::Lost`] is. `cut_off` if a call was under way.
    pub fn given_back(&mut self, cut_off: bool, now: Clocks) {
        self.cut_off |= cut_off;
        if self.phase == Phase::Lost {
            self.phase = Phase::Asking;
            self.ask_at = self.ask_at.max(now.monotonic);
        }
    }

    /// Gives the lease up for good. All messages are given back and no call is under way any more; `cut_off` if one was
    /// not left to end. [`LeaseEvent::Left`] tells when nothing is left of it.
    pub fn leave(&mut self, cut_off: bool, budget: Budget, now: Clocks) {
        self.go(cut_off, budget, None, now);
    }

    /// Whether a holder that could not write since then should let another one try, by [`Lease::give_way`]. Before that
    /// it gives all messages back.
    #[must_use]
    pub fn should_give_way(&self, unable_since: MonotonicTime, now: Clocks) -> bool {
        let before = self.yielded.is_none_or(|then| now.monotonic - then >= self.policy.yield_every);
        self.phase == Phase::Holding && before && now.monotonic - unable_since >= self.policy.yield_after
    }

    /// Gives the lease up for a while; otherwise like [`Lease::leave`].
    pub fn give_way(&mut self, cut_off: bool, budget: Budget, now: Clocks) {
        if matches!(self.phase, Phase::Quiet | Phase::Holding | Phase::Doubting(_)) {
            self.yielded = Some(now.monotonic);
            self.go(cut_off, budget, Some(now.monotonic + self.policy.yield_for), now);
        }
    }

    fn go(&mut self, cut_off: bool, budget: Budget, back: Option<MonotonicTime>, now: Clocks) {
        self.cut_off |= cut_off;
        self.budget = Some(budget);
        let goodbye = match self.phase {
            Phase::Left => return,
            Phase::Leaving { goodbye, .. } => goodbye && !self.cut_off,
            // Until then calls of whoever was before may take effect, and the next one must not believe otherwise.
            _ => self.is_known_to_be_ours() && !self.cut_off && self.looks_until <= now.monotonic,
        };
        self.phase = Phase::Leaving { goodbye, back };
        if !goodbye {
            self.requests.abandon_link();
        }
        self.finish_leaving();
    }

    /// Whether the link is up, and a record of ours stands in the session or is about to.
    fn is_known_to_be_ours(&self) -> bool {
        let entered = matches!(self.phase, Phase::Quiet | Phase::Holding | Phase::Doubting(_));
        let entering = self.phase == Phase::Granted && self.todo == Todo::Write;
        self.requests.is_linked() && (entering || (entered && self.todo != Todo::Read))
    }

    pub(super) fn finish_leaving(&mut self) {
        let Phase::Leaving { back, .. } = self.phase else { return };
        if !self.requests.is_idle() {
            return;
        }
        self.events.push_back(LeaseEvent::Left);
        self.phase = match back {
            Some(back) => {
                self.ask_at = back;
                Phase::Asking
            }
            None => Phase::Left,
        };
    }
}
