//! The lease by which replicas agree on who writes.
//!
//! [`keeper`] asks for it and renews it on a task of its own, so that neither a flood nor a slow Graph delays a renewal.
//! The pipeline holds a [`LeaseSeat`]: it hears what changes, leaves signs of life, and says when it has given back what
//! it held. Whether a write may start is read from the fence at the call itself.

mod keeper;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use servicebus::clock;
use shared::{
    lease::{Budget, Clocks, Fence, LeaseEvent, Role},
    monotonic_time::MonotonicTime,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

pub(crate) use self::keeper::{LeaseOptions, start};
use super::{epoch::Epoch, now::Now};
use crate::{graph::MayWrite, telemetry::health::BEAT};

/// Longest time for the goodbye: writing the record, and closing the link.
const GOODBYE: Duration = Duration::from_secs(5);

/// Longest time to establish a connection for a write. A write that waits for one goes out later than it was permitted, so
/// none is permitted in the last moments of certainty that are not longer than this.
pub(crate) const LONGEST_CONNECT: Duration = Duration::from_secs(3);

/// What the keeper and the pipeline both know.
struct Common {
    epoch: Epoch,
    now: Mutex<(Fence, Role)>,
    /// The pipeline's last sign of life, in milliseconds since the epoch.
    alive: AtomicU64,
}

impl Common {
    fn clocks(&self) -> Clocks {
        Clocks { monotonic: self.epoch.moment(Instant::now()), wall: clock::now() }
    }

    fn seen(&self) -> (Fence, Role) {
        // Both are copied whole, so whatever panicked under the lock left whole values.
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write may start, and would still be on its way in time if it had to wait for a connection.
    fn may_write(&self) -> bool {
        let (fence, now) = (self.seen().0, self.clocks());
        fence.holds(now) && fence.left(now) >= LONGEST_CONNECT
    }

    fn publish(&self, fence: Fence, role: Role) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (fence, role);
    }
}

/// What the pipeline tells the keeper.
#[derive(Clone, Copy)]
enum Order {
    /// What is known of the write budget.
    Budget(Budget),
    /// Nothing can be written since then, which may be this replica's own fault.
    Unable(MonotonicTime),
    /// Everything was given back after the lease was lost.
    GivenBack { cut_off: bool },
    /// Everything was given back, and another replica may try.
    GiveWay { budget: Budget, cut_off: bool },
    /// The worker stops.
    Leave { budget: Budget, cut_off: bool },
}

/// What the keeper tells the pipeline.
pub(super) enum SeatEvent {
    /// The lease has changed.
    Lease(LeaseEvent),
    /// This replica has not been able to write for long, and another one may: give everything back.
    GiveWay,
}

/// The pipeline's side of the lease.
pub(crate) struct LeaseSeat {
    common: Arc<Common>,
    events: mpsc::UnboundedReceiver<SeatEvent>,
    orders: mpsc::UnboundedSender<Order>,
    keeper: JoinHandle<()>,
    /// When the keeper was told last how things are.
    told: Option<Instant>,
}

impl LeaseSeat {
    /// Whether a write may start, for whoever is about to start one.
    pub(crate) fn may_write(&self) -> MayWrite {
        let common = Arc::clone(&self.common);
        Arc::new(move || common.may_write())
    }

    /// Where the monotonic time of the lease begins.
    pub(super) fn epoch(&self) -> Epoch {
        self.common.epoch
    }

    /// What this replica is now. A writer whose fence has closed by itself is in doubt before anybody says so.
    pub(super) fn role(&self) -> Role {
        let role = self.common.seen().1;
        if role == Role::Writer && !self.common.may_write() { Role::Doubting } else { role }
    }

    /// Waits for the next change. Cancel-safe.
    pub(super) async fn event(&mut self) -> SeatEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The keeper has failed: the fence closes by itself, and nothing more is heard.
            None => std::future::pending().await,
        }
    }

    /// A sign of life. Once a second it also tells what is known of the budget, and since when nothing can be written.
    pub(super) fn turn(&mut self, now: Now, budget: Budget, unable_since: Option<MonotonicTime>) {
        self.common.alive.store(millis(now.moment), Relaxed);
        if self.told.is_some_and(|told| now.instant - told < BEAT) {
            return;
        }
        self.told = Some(now.instant);
        self.tell(Order::Budget(budget));
        if let Some(since) = unable_since {
            self.tell(Order::Unable(since));
        }
    }

    /// Everything was given back. `cut_off` tells that calls were under way.
    pub(super) fn given_back(&self, cut_off: bool) {
        self.tell(Order::GivenBack { cut_off });
    }

    /// Everything was given back, and another replica may try for a while.
    pub(super) fn give_way(&self, budget: Budget, cut_off: bool) {
        self.tell(Order::GiveWay { budget, cut_off });
    }

    /// Says goodbye, so that another replica can write at once. `cut_off` tells that calls were under way.
    pub(super) async fn leave(self, budget: Budget, cut_off: bool) {
        self.tell(Order::Leave { budget, cut_off });
        if timeout(GOODBYE, self.keeper).await.is_err() {
            tracing::warn!("the lease could not be given back in time; another replica waits for its end");
        }
    }

    fn tell(&self, order: Order) {
        // An error means that the keeper has ended, and then nothing is left to tell.
        self.orders.send(order).ok();
    }
}

fn millis(moment: MonotonicTime) -> u64 {
    u64::try_from(moment.since_start().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::lease::{DoubtCause, LeasePolicy};

    use super::*;

    fn open(common: &Common) -> Fence {
        let (since, span) = (common.clocks(), Duration::from_mins(1));
        Fence::Open { term: 1, from: MonotonicTime::START, since, span }
    }

    /// The keeper's side of a seat, in the hands of a test.
    pub(crate) struct Chair {
        common: Arc<Common>,
        events: mpsc::UnboundedSender<SeatEvent>,
        _orders: mpsc::UnboundedReceiver<Order>,
    }

    impl Chair {
        /// A seat that is the writer's, and its other side.
        pub(crate) fn writer() -> (LeaseSeat, Self) {
            let (send_events, events) = mpsc::unbounded_channel();
            let (orders, read_orders) = mpsc::unbounded_channel();
            let epoch = Epoch::begin();
            let now = Mutex::new((Fence::Shut, Role::Standby));
            let common = Arc::new(Common { epoch, now, alive: AtomicU64::new(0) });
            common.publish(open(&common), Role::Writer);
            let keeper = tokio::spawn(async {});
            let seat = LeaseSeat { common: Arc::clone(&common), events, orders, keeper, told: None };
            (seat, Self { common, events: send_events, _orders: read_orders })
        }

        /// Nobody is sure any more that this replica is the writer. The pipeline does not hear of it.
        pub(crate) fn run_out(&self) {
            self.common.publish(Fence::Shut, Role::Doubting);
        }

        /// The pipeline hears that the lease is lost.
        pub(crate) fn lose(&self) {
            self.events.send(SeatEvent::Lease(LeaseEvent::Lost(DoubtCause::Unanswered))).ok();
        }

        /// The replica is sure again, in the same term.
        pub(crate) fn resume(&self) {
            self.common.publish(open(&self.common), Role::Writer);
            self.events.send(SeatEvent::Lease(LeaseEvent::Resumed)).ok();
        }
    }

    #[test]
    fn a_renewal_that_is_answered_late_still_leaves_room_for_a_connection() {
        let LeasePolicy { sure, renew_every, answer_within, .. } = LeasePolicy::default();
        assert!(renew_every + answer_within + LONGEST_CONNECT <= sure);
    }
}
