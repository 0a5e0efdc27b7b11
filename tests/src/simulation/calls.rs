//! What Graph makes of the calls of a replica.

use std::time::Duration;

use rand::RngExt;
use shared::{
    class::Class,
    engine::{LookResult, WriteResult},
    lanes::Failure,
    moment::Moment,
    patch::UserWrite,
    reason::{DeadLetter, DeadLetterReason},
};

use super::{
    directory::{self, Flight, Writer},
    model,
    world::{Event, TROUBLE, World},
};

impl World {
    /// Sends a write and decides how it goes: in time order, the look, the effect, the answer.
    pub(super) fn write(&mut self, writer: Writer, write: UserWrite) {
        let flight = self.directory.look(write.clone(), writer, self.now);
        let effect = self.now + Duration::from_millis(self.rng.random_range(2..1_500));
        let answer = effect + Duration::from_millis(self.rng.random_range(1..1_500));
        let trouble = effect < Moment::after_start(TROUBLE);
        let poison = write.entries.iter().any(|entry| model::is_poison(&entry.value));
        let fate = self.rng.random_range(0..100);
        let result = if within(self.denied, effect) {
            Err(failure(Class::Installation))
        } else if (self.shape.doomed && write.user == model::DOOMED)
            || within(self.away, effect)
            || (trouble && fate < 8)
        {
            Err(failure(Class::Transient))
        } else if trouble && fate < 12 {
            let wait = Duration::from_millis(self.rng.random_range(0..10_000));
            Err(failure(Class::Throttled { retry_after: (fate < 10).then_some(wait) }))
        } else if poison {
            Err(failure(Class::Permanent))
        } else if trouble && fate < 18 {
            // It worked, but the answer is lost.
            self.plan(effect, Event::Effect(Box::new(flight)));
            Err(failure(Class::Transient))
        } else {
            self.plan(effect, Event::Effect(Box::new(flight.clone())));
            // What the mark keeps out is known when the user is looked at, and nothing changes it later.
            Ok(directory::success(&flight, &self.reading))
        };
        self.plan(answer, Event::Answer(writer, Box::new(write), result));
    }

    pub(super) fn take_effect(&mut self, flight: &Flight) {
        self.report.writes += 1;
        self.directory.apply(flight, &self.reading, self.now);
    }

    pub(super) fn answer(&mut self, writer: Writer, write: &UserWrite, result: WriteResult) {
        let (now, share) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        replica.writing.remove(&write.user);
        let time = replica.time(now);
        replica.engine.write_ended(write.user, result, time, share);
        self.turn_at(writer, now);
    }

    pub(super) fn verify(&mut self, writer: Writer, write: UserWrite) {
        let answer = self.now + Duration::from_millis(self.rng.random_range(2..2_000));
        let trouble = answer < Moment::after_start(TROUBLE);
        let result = if within(self.denied, answer) {
            Err(failure(Class::Installation))
        } else if within(self.away, answer) || (trouble && self.rng.random_bool(0.05)) {
            Err(failure(Class::Transient))
        } else {
            Ok(self.directory.undone(&write))
        };
        self.plan(answer, Event::Verified(writer, Box::new(write), result));
    }

    pub(super) fn verified(&mut self, writer: Writer, write: &UserWrite, result: LookResult) {
        let (now, share) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        let time = replica.time(now);
        replica.engine.verified(write.user, result, time, share);
        self.turn_at(writer, now);
    }

    pub(super) fn probed(&mut self, writer: Writer, well: bool) {
        let (now, share) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        let time = replica.time(now);
        replica.engine.probed(well, time, share);
        self.turn_at(writer, now);
    }
}

pub(super) fn within(window: (Moment, Moment), at: Moment) -> bool {
    window.0 <= at && at < window.1
}

fn failure(class: Class) -> Failure {
    let dead_letter = DeadLetter::new(DeadLetterReason::GraphRefused, "in a simulation");
    Failure { class, dead_letter, grace: None }
}
