//! How many messages are taken: a few hundred as a rule, and while writes are scarce as many as memory allows.

use std::time::Duration;

use super::{Engine, writer::may_take};
use crate::{gate::State, monotonic_time::MonotonicTime};

/// Messages held while writes are not scarce.
const HELD: usize = 500;
/// The same, for each write that may be under way, where that is more.
const HELD_FOR_EACH_WRITE: usize = 4;
/// Messages that may be on their way at once: they come even if it then shows that there is no room for them.
const AT_ONCE: usize = 1_000;
/// There is no room if less than this part of [`AT_ONCE`], or of what is held, could still come.
const CROWDED: usize = 10;

impl<M> Engine<M> {
    /// How many more messages may come now.
    ///
    /// A few hundred are held while the budget has a write at hand for each user that waits: more would only take
    /// memory. While writes are scarce each further message may spare one, so then the bounds are those of memory
    /// (`EnginePolicy::bytes`, `LaneLimits::messages`) and of what can be applied before messages are handed
    /// back; writes owed count there, not messages, because a hundred changes of one user are one write. While renewals
    /// fail it is what can be applied before locks lapse. None while the installation is at fault, and one at a time
    /// while it is on trial.
    ///
    /// What was given is taken back only where more must not come, because that costs the shell a new link.
    pub fn credit(&mut self, now: MonotonicTime) -> usize {
        let most = self.policy.lanes.messages.saturating_sub(self.held.len()).min(AT_ONCE);
        let fit = match self.state(now) {
            _ if self.stopping || !may_take(self.role) || self.held.bytes() >= self.policy.bytes => 0,
            State::Paused => 0,
            State::Trial => most.min(usize::from(self.held.len() == self.set_aside())),
            // Who is about to write gathers meanwhile.
            State::NotWriter | State::Throttled(_) | State::Open | State::BreakerOpen => {
                let (fails, lock) = (self.held.renewals_fail(), self.locked_for.unwrap_or_default());
                let worth = self.window(now).saturating_sub(self.held.len() - self.set_aside());
                let held_for = if fails { lock } else { self.policy.max_lock_hold };
                let fit = worth.min(self.room_in_memory()).min(self.writes_within(held_for, now));
                let fit = fit.min(self.aside.room());
                most.min(if fails { fit } else { fit.max(self.given) })
            }
        };
        self.given = fit;
        fit
    }

    /// How many messages are worth holding.
    fn window(&self, now: MonotonicTime) -> usize {
        // Behind an open breaker nothing is written that could be spared.
        if self.lanes.is_scarce(now) && self.state(now) != State::BreakerOpen {
            return usize::MAX;
        }
        HELD.max(self.policy.lanes.concurrency * HELD_FOR_EACH_WRITE)
    }

    /// How many more messages fit into memory if they are like those that are held; at least one.
    fn room_in_memory(&self) -> usize {
        let usual = self.held.bytes() / self.held.len().max(1);
        let room = self.policy.bytes.saturating_sub(self.held.bytes());
        room.checked_div(usual).unwrap_or(usize::MAX).max(1)
    }

    /// How many more writes, each of a message yet to come at worst, fit into half of the time for which messages are
    /// held.
    fn writes_within(&self, held_for: Duration, now: MonotonicTime) -> usize {
        let lost = match self.state(now) {
            State::Throttled(until) => until - now,
            _ => Duration::ZERO,
        };
        let time = (held_for / 2).saturating_sub(lost);
        let possible = self.lanes.gate().rate() * time.as_secs_f64();
        if possible.is_infinite() {
            return usize::MAX;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        let possible = possible.clamp(1.0, 1e9) as usize;
        possible.saturating_sub(self.lanes.waiting_lanes())
    }

    /// Whether there is hardly room in memory, so that writes have to make some.
    pub(super) fn is_crowded(&self) -> bool {
        let full = self.held.bytes() >= self.policy.bytes;
        full || self.room_in_memory() < AT_ONCE.min(self.held.len()) / CROWDED
    }
}
