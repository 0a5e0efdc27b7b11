//! What the pipeline does as one of several replicas: it follows its role, and gives everything back when it has lost it.

use std::time::Duration;

use servicebus::Queue;
use shared::{
    engine::Engine,
    gate::State,
    lease::{Budget, LeaseEvent, Role},
};
use tokio::task::JoinSet;

use super::Pipeline;
use crate::{
    graph::Directory,
    run::{lease::SeatEvent, now::Now},
    telemetry::labels::ReplicaRole,
};

impl<Q: Queue + ?Sized, D: Directory> Pipeline<Q, D> {
    /// Takes the role that this replica has now, and leaves a sign of life.
    pub(super) fn take_role(&mut self, now: Now) {
        let Some(role) = self.follow_role() else { return self.tell_role(ReplicaRole::Alone) };
        let unable = matches!(self.engine.state(now.moment), State::Paused | State::BreakerOpen);
        self.unable_since = unable.then(|| self.unable_since.unwrap_or(now.moment));
        let budget = budget(&mut self.engine, now);
        if let Some(seat) = &mut self.lease {
            seat.turn(now, budget, self.unable_since);
        }
        self.tell_role(label(role));
    }

    /// Takes the role that this replica has now, also before the engine hears how a call has ended: after a freeze the calls of
    /// an earlier term are answered first, and what another replica may have undone since is not settled. `None` without a lease.
    pub(super) fn follow_role(&mut self) -> Option<Role> {
        let role = self.lease.as_ref()?.role();
        self.engine.set_role(role);
        Some(role)
    }

    /// Tells the role if it is another one.
    fn tell_role(&mut self, role: ReplicaRole) {
        if self.role.replace(role) != Some(role) {
            self.observer.role(role);
        }
    }

    pub(super) fn lease_changed(&mut self, event: &SeatEvent) {
        let now = self.now();
        match *event {
            SeatEvent::Lease(LeaseEvent::Entered { looks_until, budget, .. }) => {
                if let Some(Budget { rate, tokens }) = budget {
                    self.engine.take_over_budget(rate, tokens, now.moment);
                }
                if looks_until > now.moment {
                    self.directory.distrust_looks_until(self.epoch.instant(looks_until));
                    // Without a guard there is nothing that a look could compare with.
                    if self.policy.guarded {
                        self.engine.look_again_until(looks_until);
                    }
                }
            }
            SeatEvent::Lease(LeaseEvent::Lost(_)) => {
                let cut_off = self.abandon();
                if let Some(seat) = &self.lease {
                    seat.given_back(cut_off);
                }
            }
            SeatEvent::GiveWay => {
                let cut_off = self.abandon();
                let budget = budget(&mut self.engine, now);
                if let Some(seat) = &self.lease {
                    seat.give_way(budget, cut_off);
                }
            }
            // The role says it all.
            SeatEvent::Lease(
                LeaseEvent::Holding | LeaseEvent::Doubting(_) | LeaseEvent::Resumed | LeaseEvent::Left,
            ) => {}
        }
    }

    /// Cuts off what is under way and gives everything back. Tells whether a call was cut off, so that it may still take
    /// effect.
    fn abandon(&mut self) -> bool {
        let cut_off = self.writes.len();
        self.observer.metrics.lease_aborted_writes.add(u64::try_from(cut_off).unwrap_or(u64::MAX));
        // To drop a call closes its connection.
        self.writes.clear();
        self.looks = JoinSet::new();
        self.searches = JoinSet::new();
        self.reads = JoinSet::new();
        // A look that was to come later is gone as well.
        self.prepare_rows(Duration::ZERO);
        self.probe = JoinSet::new();
        self.engine.set_role(Role::Standby);
        self.engine.abandon();
        cut_off > 0
    }

    /// After everything has been settled: gives the lease back, so that another replica writes at once.
    pub(super) async fn say_goodbye(&mut self) {
        let now = self.now();
        let budget = budget(&mut self.engine, now);
        let cut_off = !self.writes.is_empty();
        if let Some(seat) = self.lease.take() {
            seat.leave(budget, cut_off).await;
        }
    }
}

fn budget<M>(engine: &mut Engine<M>, now: Now) -> Budget {
    let (rate, tokens) = engine.budget(now.moment);
    Budget { rate, tokens }
}

fn label(role: Role) -> ReplicaRole {
    match role {
        Role::Alone => ReplicaRole::Alone,
        Role::Standby => ReplicaRole::Standby,
        Role::Entering => ReplicaRole::Entering,
        Role::Writer => ReplicaRole::Writer,
        Role::Doubting => ReplicaRole::Doubting,
    }
}
