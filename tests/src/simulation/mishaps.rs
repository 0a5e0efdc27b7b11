//! What goes wrong with a lease, beside replicas that die.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use shared::monotonic_time::MonotonicTime;

use super::{
    directory::Writer,
    event::Event,
    seat::SeatNews,
    world::{TROUBLE, World},
};

/// Locks of a process that was frozen lapse; that counts as so many failed renewals.
const EXCUSED: u32 = 1_000;

impl World {
    pub(super) fn plan_mishaps(&mut self, replica: usize) {
        for _ in 0..self.rng.random_range(0..6) {
            let at = Duration::from_millis(self.rng.random_range(3_000..119_000));
            self.plan(MonotonicTime::after_start(at), Event::Mishap(replica));
        }
    }

    pub(super) fn mishap(&mut self, which: usize) {
        let now = self.now;
        let left = MonotonicTime::after_start(TROUBLE) - now;
        let lasts = Duration::from_millis(self.rng.random_range(1_000..60_000)).min(left);
        let (kind, even) = (self.rng.random_range(0..8), self.rng.random_bool(0.5));
        let by = SignedDuration::from_secs([1, 15, 3_600][self.rng.random_range(0..3)]);
        let soon = self.soon(1_000);
        let Some(replica) = &mut self.replicas[which] else { return };
        let writer = (which, replica.life);
        let Some(seat) = &mut replica.seat else { return };
        match kind {
            // Of two clocks one must be right: where one stops in sleep, nobody sets the other back.
            0 => replica.clock.set_wall(if even && !replica.stops_in_sleep { -by } else { by }),
            1 | 2 if replica.inbox.is_none() => {
                replica.inbox = Some(Vec::new());
                if replica.stops_in_sleep {
                    replica.clock.sleep(now);
                }
                if even {
                    // The service gives up a link by which it hears nothing.
                    let link = seat.link;
                    self.session.close(link);
                    self.plan(soon, Event::Seat(writer, SeatNews::LinkEnded(link)));
                }
                self.plan(now + lasts, Event::Thaw(writer));
            }
            3 | 4 => {
                seat.cut = true;
                self.plan(now + lasts, Event::Heal(writer, even));
            }
            5 => {
                let link = seat.link;
                self.session.close(link);
                self.plan(soon, Event::Seat(writer, SeatNews::LinkEnded(link)));
            }
            6 | 7 => self.session.free(),
            _ => {}
        }
    }

    /// What was cut is whole again. Often the connection turns out to have ended meanwhile.
    pub(super) fn heal(&mut self, writer: Writer, ended: bool) {
        let now = self.now;
        let Some((seat, _)) = self.seat(writer) else { return };
        seat.cut = false;
        if ended {
            let link = seat.link;
            self.session.close(link);
            self.plan(now, Event::Seat(writer, SeatNews::LinkEnded(link)));
        }
    }

    /// A frozen process wakes, and finds everything that happened meanwhile.
    pub(super) fn thaw(&mut self, writer: Writer) {
        let now = self.now;
        let keeper_first = self.rng.random_bool(0.5);
        let Some(replica) = self.alive(writer) else { return };
        replica.clock.wake(now);
        replica.was_frozen = true;
        for lock in &replica.locks {
            replica.failed_renewals.insert(*lock, EXCUSED);
        }
        let inbox = replica.inbox.take().unwrap_or_default();
        if keeper_first {
            self.keep(writer);
        }
        for event in inbox {
            self.plan(now, event);
        }
        self.turn_at(writer, now);
    }
}
