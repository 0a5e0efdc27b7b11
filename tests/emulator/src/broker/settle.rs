//! The end of a delivery: completed, given back, set aside, dead-lettered, or renewed for a while.

use std::sync::Arc;

use serde_amqp::Value;
use uuid::Uuid;

use super::{
    Broker, Error, Event, Sequence, Settled, Target, Time,
    entity::{Context, Departure, Entity, describe},
    place::Side,
    store::Hold,
};

/// What the receiver wants done with a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Remove the message.
    Complete,
    /// Give it back and count a failed delivery.
    Abandon {
        /// Application properties to set.
        properties: Vec<(String, Value)>,
    },
    /// Give it back without counting.
    Release,
    /// Set it aside, to be fetched by its number.
    Defer {
        /// Application properties to set.
        properties: Vec<(String, Value)>,
    },
    /// Move it to the dead letters.
    DeadLetter {
        /// Stored with the message.
        reason: Option<String>,
        /// Stored with the message.
        description: Option<String>,
        /// Application properties to set.
        properties: Vec<(String, Value)>,
    },
}

impl Broker {
    /// Settles a delivery by its lock token.
    pub fn settle(&mut self, target: Target, token: Uuid, verb: Verb, now: Time) -> Result<Sequence, Error> {
        let verb = match verb {
            Verb::Release if self.quirks.counts_released => Verb::Abandon { properties: Vec::new() },
            verb => verb,
        };
        self.within(target, now, |entity, context, _| {
            let sequence = match entity.locked(target.side, token) {
                Ok(sequence) => sequence,
                Err(error) => {
                    context.events.push(Event::LockLost { place: entity.place(target.side) });
                    return Err(error);
                }
            };
            settle_one(entity, target.side, sequence, verb, context);
            Ok(sequence)
        })?
    }

    /// Renews a lock and returns until when it holds now.
    pub fn renew(&mut self, target: Target, token: Uuid, now: Time) -> Result<Time, Error> {
        self.within(target, now, |entity, context, _| {
            let until = now + entity.options.lock_duration;
            let place = entity.place(target.side);
            let sequence = match entity.locked(target.side, token) {
                Ok(sequence) => sequence,
                Err(error) => {
                    context.events.push(Event::LockLost { place });
                    return Err(error);
                }
            };
            entity.store_mut(target.side).change(sequence, |entry| {
                if let Some(lock) = &mut entry.lock
                    && lock.until.is_some()
                {
                    lock.until = Some(until);
                }
            });
            context.events.push(Event::Renewed { place, sequence });
            Ok(until)
        })?
    }

    /// Notes that somebody came too late with a lock token.
    pub fn note_lock_lost(&mut self, target: Target) {
        if let Ok(place) = self.place(target) {
            self.events.push(Event::LockLost { place });
        }
    }

    /// Lets locks lapse right now: the one of a message, or all of a place. Returns how many.
    pub fn lapse(&mut self, target: Target, sequence: Option<Sequence>, now: Time) -> Result<usize, Error> {
        self.within(target, now, |entity, context, _| {
            let mut locked = entity.store(target.side).locked();
            locked.retain(|locked| sequence.is_none_or(|sequence| sequence == *locked));
            for sequence in &locked {
                entity.fail(target.side, *sequence, context, |place, sequence, delivery_count| {
                    Event::LockLapsed { place, sequence, delivery_count }
                });
            }
            if sequence.is_none() && target.side == Side::Main {
                let held: Vec<String> = entity.sessions.held().map(str::to_owned).collect();
                for session in held {
                    entity.lapse_session(&session, context);
                }
            }
            locked.len()
        })
    }
}

fn settle_one(entity: &mut Entity, side: Side, sequence: Sequence, verb: Verb, context: &mut Context<'_>) {
    let place = entity.place(side);
    let settled = |how| Event::Settled { place, sequence, how };
    match verb {
        Verb::Complete => {
            entity.store_mut(side).remove(sequence);
            context.events.push(settled(Settled::Completed));
        }
        Verb::Release => {
            entity.store_mut(side).change(sequence, |entry| entry.lock = None);
            context.events.push(settled(Settled::Released));
        }
        Verb::Abandon { properties } => {
            modify(entity, side, sequence, properties);
            entity.fail(side, sequence, context, |_, _, _| settled(Settled::Abandoned));
        }
        Verb::Defer { properties } => {
            modify(entity, side, sequence, properties);
            entity.store_mut(side).change(sequence, |entry| {
                entry.lock = None;
                entry.hold = Hold::Deferred;
            });
            context.events.push(settled(Settled::Deferred));
        }
        Verb::DeadLetter { reason, description, properties } => {
            context.events.push(settled(Settled::DeadLettered));
            modify(entity, side, sequence, properties);
            dead_letter(entity, side, sequence, (reason, description), context);
        }
    }
}

/// Reason and description, as far as the receiver gave them.
type Why = (Option<String>, Option<String>);

fn dead_letter(entity: &mut Entity, side: Side, sequence: Sequence, why: Why, context: &mut Context<'_>) {
    let (reason, description) = why;
    if side != Side::Main {
        // A dead letter stays where it is; only what is said about it changes.
        entity.store_mut(side).change(sequence, |entry| {
            entry.lock = None;
            describe(entry, reason.as_deref(), description.as_deref());
        });
        return;
    }
    let place = entity.place(side);
    let Some(mut entry) = entity.store_mut(side).remove(sequence) else { return };
    describe(&mut entry, reason.as_deref(), description.as_deref());
    let reason = reason.unwrap_or_default().into();
    context.events.push(Event::DeadLettered { place, sequence, reason });
    context.departures.push(Departure::Dead(Box::new(entry)));
}

fn modify(entity: &mut Entity, side: Side, sequence: Sequence, properties: Vec<(String, Value)>) {
    if properties.is_empty() {
        return;
    }
    entity.store_mut(side).change(sequence, |entry| {
        let message = Arc::make_mut(&mut entry.message);
        for (name, value) in properties {
            message.set_property(&name, value);
        }
    });
}
