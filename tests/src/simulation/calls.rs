//! What Graph makes of the calls of a replica.

use std::time::Duration;

use rand::RngExt;
use shared::{
    class::Class,
    engine::{LookResult, WriteResult},
    ids::UserId,
    lanes::{About, Failure, Success, Suspicion},
    monotonic_time::MonotonicTime,
    patch::UserWrite,
    reason::{DeadLetter, DeadLetterReason},
};

use super::{
    directory::{self, Flight, Writer},
    event::Event,
    model::{self, Broken},
    shape::{Fault, Guilt, Remedy},
    world::{TROUBLE, World},
};

impl World {
    /// Sends a write and decides how it goes: in time order, the look, the effect, the answer.
    pub(super) fn write(&mut self, writer: Writer, write: UserWrite) {
        let flight = self.directory.look(write, writer, self.now);
        if self.shape.leased {
            let at = self.soon(1_500);
            self.plan(at, Event::Begin(Box::new(flight)));
        } else {
            self.send(flight);
        }
    }

    pub(super) fn send(&mut self, flight: Flight) {
        let (writer, write) = (flight.writer, flight.write.clone());
        let mut effect = self.now + Duration::from_millis(self.rng.random_range(2..1_500));
        if self.shape.leased && effect < MonotonicTime::after_start(TROUBLE) && self.rng.random_bool(0.03) {
            effect = effect + Duration::from_millis(self.rng.random_range(0..25_000));
        }
        let answer = effect + Duration::from_millis(self.rng.random_range(1..1_500));
        let trouble = effect < MonotonicTime::after_start(TROUBLE);
        let poison = write.entries.iter().any(|entry| model::is_poison(&entry.value));
        let fate = self.rng.random_range(0..100);
        let refusal = self.refusal(&write, effect);
        let result = if let Some(refusal) = refusal {
            refusal
        } else if within(self.away, effect) || (trouble && fate < 8) {
            Err(failure(Class::Transient))
        } else if trouble && fate < 12 {
            let wait = Duration::from_millis(self.rng.random_range(0..10_000));
            Err(failure(Class::Throttled { retry_after: (fate < 10).then_some(wait) }))
        } else if poison {
            Err(suspected(Class::Permanent, About::Values, "400"))
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

    /// What is answered because of the installation or of the user, whatever else happens.
    fn refusal(&self, write: &UserWrite, at: MonotonicTime) -> Option<WriteResult> {
        if within(self.at_fault, at) {
            let refused = write.entries.iter().any(|entry| model::is_refused(&entry.property));
            return match self.shape.fault {
                Fault::Token => Some(Err(failure(Class::Installation))),
                Fault::Denied => Some(Err(suspected(Class::Transient, About::Denial, "403"))),
                Fault::Refused => Some(Err(suspected(Class::Permanent, About::Values, "400"))),
                Fault::Property if refused => Some(Err(suspected(Class::Permanent, About::Values, "400"))),
                Fault::Property => self.guilt(write),
                Fault::Unknown => Some(Err(unknown())),
                Fault::Portal if self.shape.without == Some(Remedy::Doubt) => {
                    Some(Ok(Success { written: true, ..Success::default() }))
                }
                Fault::Portal => Some(Err(suspected(Class::Installation, About::Way, "200 text/html"))),
            };
        }
        self.guilt(write)
    }

    fn guilt(&self, write: &UserWrite) -> Option<WriteResult> {
        model::is_guilty(write.user, self.shape.guilty).then(|| {
            Err(match self.shape.guilt {
                Guilt::Fails => failure(Class::Transient),
                Guilt::Denied => suspected(Class::Transient, About::Denial, "403"),
                Guilt::Refused => suspected(Class::Permanent, About::Values, "400"),
                Guilt::Unknown => unknown(),
            })
        })
    }

    /// Whether a probe, which reads, finds Graph well.
    pub(super) fn may_probe(&self, at: MonotonicTime) -> bool {
        let read = !matches!(self.shape.fault, Fault::Token | Fault::Portal) || !within(self.at_fault, at);
        read && !within(self.away, at)
    }

    pub(super) fn take_effect(&mut self, flight: &Flight) -> Result<(), Broken> {
        self.report.writes += 1;
        let crossed = self.directory.is_crossed(flight);
        let written = self.directory.apply(flight, &self.reading, self.now);
        if self.alive(flight.writer).is_none() {
            self.excuse(flight.write.user);
        }
        match &mut self.table {
            Some(table) => table.ledger.wrote(&flight.write, &written, crossed),
            None => Ok(()),
        }
    }

    /// Whoever writes this user once more has a reason.
    pub(super) fn excuse(&mut self, user: UserId) {
        if let Some(table) = &mut self.table {
            table.ledger.excuse(user);
        }
    }

    pub(super) fn answer(&mut self, writer: Writer, write: &UserWrite, result: WriteResult) {
        let (now, jitter) = (self.now, self.rng.random());
        // Whatever failed is tried again, or taken apart: and nobody knows whether it took effect.
        if result.is_err() {
            self.excuse(write.user);
        }
        self.follow_role(writer);
        let Some(replica) = self.alive(writer) else { return };
        replica.writing.remove(&write.user);
        replica.tell(now, |engine, time| engine.write_ended(write.user, result, time, jitter));
        self.turn_at(writer, now);
    }

    pub(super) fn verify(&mut self, writer: Writer, write: UserWrite) {
        let answer = self.now + Duration::from_millis(self.rng.random_range(2..2_000));
        let trouble = answer < MonotonicTime::after_start(TROUBLE);
        let result = if within(self.at_fault, answer) && self.shape.fault == Fault::Token {
            Err(failure(Class::Installation))
        } else if within(self.away, answer) || (trouble && self.rng.random_bool(0.05)) {
            Err(failure(Class::Transient))
        } else {
            Ok(self.directory.undone(&write, self.reading.diff))
        };
        self.plan(answer, Event::Verified(writer, Box::new(write), result));
    }

    pub(super) fn verified(&mut self, writer: Writer, write: &UserWrite, result: LookResult) {
        let (now, jitter) = (self.now, self.rng.random());
        self.follow_role(writer);
        let Some(replica) = self.alive(writer) else { return };
        replica.tell(now, |engine, time| engine.verified(write.user, result, time, jitter));
        self.turn_at(writer, now);
    }

    pub(super) fn probed(&mut self, writer: Writer, well: bool) {
        let (now, jitter) = (self.now, self.rng.random());
        let Some(replica) = self.alive(writer) else { return };
        replica.tell(now, |engine, time| engine.probed(well, time, jitter));
        self.turn_at(writer, now);
    }
}

pub(super) fn within(window: (MonotonicTime, MonotonicTime), at: MonotonicTime) -> bool {
    window.0 <= at && at < window.1
}

fn failure(class: Class) -> Failure {
    let dead_letter = DeadLetter {
        code: Some("Code".into()),
        ..DeadLetter::new(DeadLetterReason::GraphRefused, "in a simulation")
    };
    Failure { class, dead_letter, grace: None, suspicion: None }
}

fn suspected(class: Class, about: About, kind: &str) -> Failure {
    Failure { suspicion: Some(Suspicion { kind: kind.into(), about }), ..failure(class) }
}

/// A user whom Graph does not know, or not yet.
fn unknown() -> Failure {
    Failure { grace: Some(Duration::from_secs(5)), ..suspected(Class::Transient, About::User, "404") }
}
