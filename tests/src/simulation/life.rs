//! How replicas come and go.

use std::time::Duration;

use rand::RngExt;
use shared::{engine::Engine, monotonic_time::MonotonicTime};

use super::{
    directory::Writer,
    model::Broken,
    replica::Replica,
    shape::Remedy,
    world::{Event, TROUBLE, VERIFY_AFTER, World},
};

/// Longer than any call takes, and all the settlements after it.
const GRACE: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn start(&mut self, replica: usize) {
        self.lives += 1;
        let verify_after = self.shape.verify.then_some(VERIFY_AFTER);
        let judges = self.shape.without != Some(Remedy::Judgement);
        self.replicas[replica] = Some(Replica::new(self.lives, self.now, verify_after, judges));
        let writer = (replica, self.lives);
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
            Some(_) if dies => {
                self.report.crashes += 1;
                self.gone(replica);
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
        self.report.stops += 1;
        self.gone(writer.0);
        Ok(())
    }

    pub(super) fn overdue(&mut self, writer: Writer) -> Result<(), Broken> {
        match self.alive(writer) {
            Some(replica) => Err(Broken::NotStopped(replica.engine().held())),
            None => Ok(()),
        }
    }

    fn gone(&mut self, replica: usize) {
        self.replicas[replica] = None;
        let back = self.soon(20_000);
        self.plan(back, Event::Start(replica));
    }
}
