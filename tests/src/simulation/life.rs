//! How replicas come and go.

use std::time::Duration;

use rand::RngExt;
use shared::{engine::Engine, lease::LeasePolicy, monotonic_time::MonotonicTime};

use super::{
    clock::MachineClock,
    directory::Writer,
    event::Event,
    model::Broken,
    replica::Replica,
    seat::Seat,
    shape::Remedy,
    world::{TROUBLE, VERIFY_AFTER, World},
};

/// Longer than any call takes, and all the settlements after it.
const GRACE: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn start(&mut self, replica: usize) {
        self.lives += 1;
        let verify_after = self.shape.verify.then_some(VERIFY_AFTER);
        let judges = self.shape.without != Some(Remedy::Judgement);
        let writer = (replica, self.lives);
        let clock = MachineClock::exact(self.now);
        let most_alike = self.shape.most_alike;
        let reads = self.shape.table.is_some_and(|kind| kind.reads);
        let new = Replica::new(self.lives, clock, verify_after, judges, most_alike, reads);
        self.replicas[replica] = Some(new);
        if self.shape.leased {
            self.ask_for_lease(writer);
        }
        self.turn_at(writer, self.now);
    }

    /// Half of the replicas die where they are, half are asked to stop.
    pub(super) fn end(&mut self, replica: usize) {
        if self.now < MonotonicTime::after_start(TROUBLE) {
            let again = self.now + Duration::from_millis(self.rng.random_range(20_000..60_000));
            self.plan(again, Event::End(replica));
        }
        let dies = self.rng.random_bool(0.5);
        match &mut self.replicas[replica] {
            // It has not come back yet, or is about to leave.
            None => {}
            Some(leaving) if leaving.stopping => {}
            Some(frozen) if frozen.inbox.is_some() => {}
            Some(dead) if dies => {
                let writer = (replica, dead.life);
                self.report.crashes += 1;
                if self.shape.leased { self.vanish(writer) } else { self.gone(replica) }
            }
            Some(stopped) => {
                stopped.stopping = true;
                stopped.tell(self.now, Engine::stop);
                let writer = (replica, stopped.life);
                self.turn_at(writer, self.now);
                self.plan(self.now + GRACE, Event::Overdue(writer));
            }
        }
    }

    /// A replica that was asked to stop leaves when nothing is under way any more, and leaves no lock behind.
    pub(super) fn leave(&mut self, writer: Writer) -> Result<(), Broken> {
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        if !replica.stopping || !replica.engine().is_idle() || replica.settling > 0 {
            return Ok(());
        }
        if !replica.locks.is_empty() {
            return Err(Broken::LocksLeft(replica.locks.len()));
        }
        if replica.seat.is_some() {
            self.say_goodbye(writer);
            return Ok(());
        }
        self.report.stops += 1;
        self.gone(writer.0);
        Ok(())
    }

    pub(super) fn overdue(&mut self, writer: Writer) -> Result<(), Broken> {
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        // It is done, and says goodbye; how long that takes is bounded as well.
        if replica.seat.as_ref().is_some_and(|seat| seat.leaving) {
            return Ok(());
        }
        let excused = replica.was_frozen || !replica.writing.is_empty();
        if replica.seat.is_some() && excused {
            // What is under way will be delivered again.
            replica.locks.clear();
            self.say_goodbye(writer);
            return Ok(());
        }
        Err(Broken::NotStopped(replica.engine().held()))
    }

    /// On a machine whose clocks run as they like, within one per cent.
    fn ask_for_lease(&mut self, writer: Writer) {
        let rate =
            [990_000, 1_010_000, self.rng.random_range(990_000..1_010_000)][self.rng.random_range(0..3)];
        let stops_in_sleep = self.rng.random_bool(0.5);
        let mut policy = LeasePolicy::default();
        if self.shape.without == Some(Remedy::Quiet) {
            policy.quiet = Duration::ZERO;
        }
        let now = self.now;
        let Some(replica) = self.alive(writer) else { return };
        replica.clock = MachineClock::new(now, rate);
        replica.stops_in_sleep = stops_in_sleep;
        replica.seat = Some(Seat::new(policy, writer.1, replica.clock.clocks(now)));
        self.keep(writer);
    }

    pub(super) fn gone(&mut self, replica: usize) {
        self.replicas[replica] = None;
        let back = self.soon(20_000);
        self.plan(back, Event::Start(replica));
    }
}
