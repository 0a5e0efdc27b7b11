//! Who writes: what a replica does as the writer, while it is not sure that it is, and when it has lost that role.

use super::Engine;
use crate::{ids::UserId, lease::Role, monotonic_time::MonotonicTime};

impl<M> Engine<M> {
    /// The role of this replica from now on. Only the writer starts writes, and only who may become it takes messages.
    pub fn set_role(&mut self, role: Role) {
        self.role = role;
        self.lanes.set_writer(may_write(role));
    }

    /// Another replica writes, or may: everything is given back, and nothing is remembered of users, who may be written
    /// from elsewhere now. Calls under way must have been given up before; nobody reports how they ended.
    pub fn abandon(&mut self) {
        let held = self.held.drain();
        self.searches.clear();
        self.reads.clear();
        let postponed = self.copies.withdraw(None);
        self.lanes = self.lanes.restarted();
        self.probing = false;
        // What is settled already stays settled: its change was written, or needs no write.
        self.give_back(held);
        self.give_back(postponed);
    }

    /// The write of this user was not begun after all, because the lease had run out at the last moment.
    pub fn write_not_begun(&mut self, user: UserId, now: MonotonicTime) {
        self.lanes.not_begun(user);
        if self.stopping {
            self.release_waiting(now);
        }
    }

    /// Goes on with what the writer before this one knew of the budget: writes a second, and writes at once.
    pub fn take_over_budget(&mut self, rate: f64, tokens: f64, now: MonotonicTime) {
        self.lanes.pace().resume(rate, tokens, now);
    }

    /// What is known of the budget: writes a second, and writes at once.
    pub fn budget(&mut self, now: MonotonicTime) -> (f64, f64) {
        self.lanes.pace().known(now)
    }

    /// Until then a call of the writer before this one may still take effect: every write is looked at again.
    pub fn look_again_until(&mut self, until: MonotonicTime) {
        self.lanes.set_rival(until);
    }
}

/// Whether writes may be started.
const fn may_write(role: Role) -> bool {
    matches!(role, Role::Alone | Role::Writer)
}

/// Whether messages may be taken.
pub(super) const fn may_take(role: Role) -> bool {
    matches!(role, Role::Alone | Role::Entering | Role::Writer)
}
