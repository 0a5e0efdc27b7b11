//! A world from its first message to its rest.

use std::{cmp::Reverse, time::Duration};

use rand::RngExt;
use shared::{
    engine::{Arrival, Effect, Failures, Intake, Member, Planned},
    ids::{ContactId, LockToken},
    mass_change::{Author, PriorDecision, Provenance},
    monotonic_time::MonotonicTime,
    plan::KnownRows,
    priority::Priority,
    step::Step,
};

use uuid::Uuid;

use super::{
    directory::Writer,
    event::Event,
    model::Broken,
    queue::Message,
    shape::{Report, Shape},
    world::{LOCK, PATIENCE, TROUBLE, World},
};

/// Runs the world of this seed.
pub fn simulate(shape: Shape, seed: u64) -> Result<Report, Broken> {
    let mut world = World::new(shape, seed);
    while let Some(Reverse(next)) = world.events.pop() {
        world.now = next.at;
        if world.now > MonotonicTime::after_start(PATIENCE) {
            break;
        }
        world.happen(*next.event)?;
        if world.queue.open().next().is_none() && world.now > MonotonicTime::after_start(TROUBLE) {
            break;
        }
    }
    world.check()
}

impl World {
    pub(super) fn happen(&mut self, event: Event) -> Result<(), Broken> {
        if let Some(writer) = event.reaches()
            && let Some(inbox) = self.alive(writer).and_then(|replica| replica.inbox.as_mut())
        {
            inbox.push(event);
            return Ok(());
        }
        match event {
            Event::Turn(writer) => return self.turn(writer),
            Event::Effect(flight) => return self.take_effect(&flight),
            Event::Answer(writer, write, result) => self.answer(writer, &write, result),
            Event::Settle(writer, lock, outcome) => return self.settle(writer, lock, outcome),
            Event::Renew(writer, locks) => self.renew(writer, locks),
            Event::Renewed(writer, answers) => self.renewed(writer, answers),
            Event::Verified(writer, write, result) => self.verified(writer, &write, result),
            Event::Probed(writer, well) => self.probed(writer, well),
            Event::End(replica) => self.end(replica),
            Event::Overdue(writer) => return self.overdue(writer),
            Event::Start(replica) => self.start(replica),
            Event::Begin(flight) => return self.begin(flight),
            Event::Seat(writer, news) => return self.seat_news(writer, news),
            Event::Asked { writer, request, link, action } => self.asked(writer, request, link, &action),
            Event::Detached(link) => self.session.close(link),
            Event::Mishap(replica) => self.mishap(replica),
            Event::Heal(writer, ended) => self.heal(writer, ended),
            Event::Thaw(writer) => self.thaw(writer),
            Event::Aim => return self.check_aim(),
            Event::Saved => self.somebody_saves(),
            Event::Pass => return self.go_on_with_pass(),
            Event::RowsAsked(writer, batch, rows) => self.rows_asked(writer, batch, &rows),
            Event::RowsAnswered(writer, batch, answers) => self.rows_answered(writer, batch, *answers),
        }
        Ok(())
    }

    /// Plans a turn, unless an earlier one is planned already.
    pub(super) fn turn_at(&mut self, writer: Writer, at: MonotonicTime) {
        let Some(replica) = self.alive(writer) else { return };
        if replica.next_turn.is_none_or(|planned| at < planned) {
            replica.next_turn = Some(at);
            self.plan(at, Event::Turn(writer));
        }
    }

    /// Does what the engine asks for, takes messages for its credit, and plans the next turn.
    fn turn(&mut self, writer: Writer) -> Result<(), Broken> {
        let now = self.now;
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        if replica.next_turn.is_some_and(|planned| planned <= now) {
            replica.next_turn = None;
        }
        // The pipeline has ended, and only its goodbye is awaited.
        if replica.seat.as_ref().is_some_and(|seat| seat.leaving) {
            return Ok(());
        }
        self.take_role(writer);
        self.carry_out(writer)?;
        let Some(replica) = self.alive(writer) else { return Ok(()) };
        let credit = replica.credit(now).min(10);
        for (index, lock) in self.queue.receive(credit, now, &mut self.rng) {
            self.hand_over(writer, index, lock);
        }
        self.check_lapsed()?;
        let wake = self.carry_out(writer)?;
        self.leave(writer)?;
        // The queue is asked now and then, as a receiving link would be told.
        let poll = now + Duration::from_millis(500);
        self.turn_at(writer, wake.map_or(poll, |wake| wake.min(poll)).max(now + Duration::from_millis(1)));
        Ok(())
    }

    fn hand_over(&mut self, writer: Writer, index: usize, lock: LockToken) {
        self.report.deliveries += 1;
        let message = self.queue.messages()[index].clone();
        let intake = match &mut self.table {
            Some(table) => {
                table.handed.insert(lock, (message.changes[0], message.arrival));
                self.planned_from_table(message.changes[0], &KnownRows::default())
            }
            None => self.planned(&message),
        };
        let is_repair = self.is_repair(&message, &intake);
        // Any message may have been a dead letter once.
        let replayed = is_repair || (self.table.is_none() && message.arrival.0 % 5 == 4);
        let arrival = Arrival {
            message: lock,
            lock,
            taken: MonotonicTime::START,
            jitter: self.rng.random(),
            locked_for: LOCK,
            bytes: 100,
            enqueued: self.wall(message.first_seen),
            age: self.now - message.first_seen,
            lineage: message.lineage(),
            urgency: if replayed { Priority::Replayed } else { Priority::Live },
            provenance: self.provenance(&message),
            intake,
        };
        let now = self.now;
        if let Some(replica) = self.alive(writer) {
            replica.locks.insert(lock);
            replica.tell(now, |engine, taken| engine.arrived(Arrival { taken, ..arrival }, taken));
        }
    }

    /// Whether a pass has posted it. What is delivered again may be written again.
    fn is_repair(&mut self, message: &Message, intake: &Intake) -> bool {
        let Some(table) = &mut self.table else { return false };
        let posted = message.changes[0];
        if let (true, Intake::Work(planned, _)) = (table.ledger.delivered(posted), intake) {
            table.ledger.excuse(planned[0].user);
        }
        table.ledger.posted(posted).repair
    }

    /// What becomes of a message about changes that are planned already.
    fn planned(&self, message: &Message) -> Intake {
        let several = message.changes.len() > 1;
        let planned = message.changes.iter().enumerate().map(|(index, &change)| {
            let change = &self.changes[change];
            Planned {
                user: change.user,
                contact: ContactId(change.user.0),
                organization: None,
                version: Some(change.version),
                read: None,
                patch: change.patch(),
                member: several.then_some(Member { position: index + 1, contact: None }),
            }
        });
        Intake::Work(planned.collect(), Failures::default())
    }

    /// Two authors make all changes.
    fn provenance(&self, message: &Message) -> Provenance {
        let author = Author::User(Uuid::from_u128(u128::from(message.arrival.0.unsigned_abs() % 2)));
        let standing = if message.approved {
            // Each message by itself, so that others of the stream are held on.
            PriorDecision::Approved { at: self.wall(self.now), streams: Box::default() }
        } else {
            PriorDecision::New
        };
        Provenance { author, standing }
    }

    /// Tells until when the replica then waits, if nothing happens before.
    fn carry_out(&mut self, writer: Writer) -> Result<Option<MonotonicTime>, Broken> {
        let now = self.now;
        loop {
            let Some(replica) = self.alive(writer) else { return Ok(None) };
            let effect = match replica.next(now)? {
                Step::Do(effect) => effect,
                Step::Wait(until) => return Ok(until),
            };
            match effect {
                Effect::Write { write, .. } => {
                    if replica.stopping {
                        return Err(Broken::WriteAfterStop(write.user));
                    }
                    if !replica.writing.insert(write.user) {
                        return Err(Broken::TwoWrites(write.user));
                    }
                    self.write(writer, write);
                }
                Effect::Renew(locks) => self.ask_to_renew(writer, locks),
                Effect::Settle { message: lock, outcome } => {
                    replica.locks.remove(&lock);
                    replica.settling += 1;
                    let at = self.soon(50);
                    self.plan(at, Event::Settle(writer, lock, outcome));
                }
                Effect::Verify(write) => self.verify(writer, write),
                Effect::Read { batch, rows } => self.ask_for_rows(writer, batch, rows),
                Effect::Find { .. } => unreachable!("every message of the simulation names its user"),
                Effect::Probe => {
                    let at = self.now + Duration::from_millis(self.rng.random_range(5..2_000));
                    let well = self.may_probe(at);
                    self.plan(at, Event::Probed(writer, well));
                }
            }
        }
    }
}
