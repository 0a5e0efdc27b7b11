//! One queue, topic or subscription: its messages, dead letters, sessions and the rules about them.
//!
//! What leaves an entity (a dead letter, a scheduled message whose time has come) is handed back as a
//! [`Departure`]; the broker decides where it goes, because forwarding can lead anywhere.

use std::sync::Arc;

use serde_amqp::Value;

use super::{
    EntityOptions, Error, Event, Place, Sequence, Time,
    duplicates::Seen,
    place::Side,
    rule::Rule,
    session::{Holder, Sessions},
    store::{Entry, Hold, Lock, Store},
    tokens::Tokens,
    view::{Counts, Delivery, View},
};

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stores messages and hands them out.
    Queue,
    /// Copies messages to its subscriptions.
    Topic,
    /// Stores the copies that its rules let in.
    Subscription,
}

/// Whether a delivery has to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The message stays, locked, until it is settled.
    PeekLock,
    /// The message is removed as it is handed out.
    ReceiveAndDelete,
}

/// An entry on its way out of an entity.
#[derive(Debug)]
pub(super) enum Departure {
    /// Its scheduled time has come.
    Appear(Box<Entry>),
    /// It goes to the dead letters.
    Dead(Box<Entry>),
}

/// Things that operations on an entity use and add to.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) departures: Vec<Departure>,
}

#[derive(Debug)]
pub(super) struct Entity {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) options: EntityOptions,
    pub(super) main: Store,
    pub(super) dead: Store,
    pub(super) transfer_dead: Store,
    pub(super) sessions: Sessions,
    pub(super) seen: Seen,
    /// Of a subscription: what it lets in.
    pub(super) rules: Vec<Rule>,
    /// Of a topic: indexes of its subscriptions.
    pub(super) subscriptions: Vec<usize>,
    pub(super) created: Time,
}

impl Entity {
    pub(super) fn new(name: &str, kind: Kind, options: EntityOptions, created: Time) -> Self {
        Self {
            name: name.into(),
            kind,
            main: Store::new(options.requires_session),
            dead: Store::new(false),
            transfer_dead: Store::new(false),
            options,
            sessions: Sessions::default(),
            seen: Seen::default(),
            rules: Vec::new(),
            subscriptions: Vec::new(),
            created,
        }
    }

    pub(super) fn place(&self, side: Side) -> Place {
        Place::new(Arc::clone(&self.name), side)
    }

    pub(super) fn store(&self, side: Side) -> &Store {
        match side {
            Side::Main => &self.main,
            Side::DeadLetter => &self.dead,
            Side::TransferDeadLetter => &self.transfer_dead,
        }
    }

    pub(super) fn store_mut(&mut self, side: Side) -> &mut Store {
        match side {
            Side::Main => &mut self.main,
            Side::DeadLetter => &mut self.dead,
            Side::TransferDeadLetter => &mut self.transfer_dead,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.main.bytes() + self.dead.bytes() + self.transfer_dead.bytes()
    }

    pub(super) fn counts(&self, side: Side) -> Counts {
        let store = self.store(side);
        let mut counts = Counts { locked: store.locked_count(), bytes: store.bytes(), ..Counts::default() };
        for (_, entry) in store.from(0) {
            match entry.hold {
                Hold::Active => counts.active += 1,
                Hold::Deferred => counts.deferred += 1,
                Hold::Scheduled(_) => counts.scheduled += 1,
            }
        }
        counts.ready = store.ready_count();
        counts
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        [
            self.main.next_deadline(),
            self.dead.next_deadline(),
            self.transfer_dead.next_deadline(),
            self.sessions.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lets everything happen whose time has come.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) {
        while let Some(session) = self.sessions.due(context.now) {
            self.lapse_session(&session, context);
        }
        for side in [Side::Main, Side::DeadLetter] {
            while let Some(sequence) = self.store(side).due(context.now) {
                self.happen(side, sequence, context);
            }
        }
    }

    /// The deadline of one entry has come: its lock lapses, it appears or it expires.
    fn happen(&mut self, side: Side, sequence: Sequence, context: &mut Context<'_>) {
        let Some(entry) = self.store(side).get(sequence) else { return };
        if entry.lock.is_some() {
            self.fail(side, sequence, context, |place, sequence, delivery_count| Event::LockLapsed {
                place,
                sequence,
                delivery_count,
            });
        } else if matches!(entry.hold, Hold::Scheduled(_)) {
            if let Some(entry) = self.store_mut(side).remove(sequence) {
                context.departures.push(Departure::Appear(Box::new(entry)));
            }
        } else {
            self.expire(side, sequence, context);
        }
    }

    fn expire(&mut self, side: Side, sequence: Sequence, context: &mut Context<'_>) {
        let place = self.place(side);
        if self.options.dead_letter_on_expiry {
            let text = "The message expired and was dead lettered.";
            self.bury(side, sequence, "TTLExpiredException", text, context);
        } else if self.store_mut(side).remove(sequence).is_some() {
            context.events.push(Event::Expired { place, sequence });
        }
    }

    /// Takes the lock off and counts a failed delivery; after too many the message is dead-lettered.
    pub(super) fn fail(
        &mut self,
        side: Side,
        sequence: Sequence,
        context: &mut Context<'_>,
        event: impl FnOnce(Place, Sequence, u32) -> Event,
    ) {
        let limit = self.options.max_delivery_count;
        // The count of a dead letter stays as it is: nothing would ever come of it.
        let counts = side == Side::Main;
        let count = self.store_mut(side).change(sequence, |entry| {
            entry.lock = None;
            entry.delivery_count += u32::from(counts);
            entry.delivery_count
        });
        let Some(count) = count else { return };
        context.events.push(event(self.place(side), sequence, count));
        if counts && count >= limit {
            let text = format!("Message could not be consumed after {limit} delivery attempts.");
            self.bury(side, sequence, "MaxDeliveryCountExceeded", &text, context);
        }
    }

    /// Sends an entry to the dead letters.
    pub(super) fn bury(
        &mut self,
        side: Side,
        sequence: Sequence,
        reason: &str,
        description: &str,
        context: &mut Context<'_>,
    ) {
        let Some(mut entry) = self.store_mut(side).remove(sequence) else { return };
        describe(&mut entry, Some(reason), Some(description));
        context.events.push(Event::DeadLettered { place: self.place(side), sequence, reason: reason.into() });
        context.departures.push(Departure::Dead(Box::new(entry)));
    }

    /// Hands out the first ready messages, at most `max`.
    pub(super) fn take(
        &mut self,
        side: Side,
        session: Option<&str>,
        mode: Mode,
        max: usize,
        tokens: &mut Tokens,
        context: &mut Context<'_>,
    ) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(sequence) = self.store(side).first_ready(session) else { break };
            let Some(delivery) = self.hand_out(side, sequence, mode, session.is_some(), tokens, context)
            else {
                break;
            };
            taken.push(delivery);
        }
        taken
    }

    /// Hands out one message that nobody holds.
    pub(super) fn hand_out(
        &mut self,
        side: Side,
        sequence: Sequence,
        mode: Mode,
        by_session: bool,
        tokens: &mut Tokens,
        context: &mut Context<'_>,
    ) -> Option<Delivery> {
        let token = tokens.next();
        let until = (!by_session).then(|| context.now + self.options.lock_duration);
        let place = self.place(side);
        let store = self.store_mut(side);
        let view = match mode {
            Mode::PeekLock => store.change(sequence, |entry| {
                entry.lock = Some(Lock { token, until });
                View::of(sequence, entry)
            })?,
            Mode::ReceiveAndDelete => View::of(sequence, &store.remove(sequence)?),
        };
        context.events.push(Event::Delivered {
            place,
            sequence,
            delivery_count: view.delivery_count,
            locked: mode == Mode::PeekLock,
        });
        Some(Delivery { token, view })
    }

    /// Frees a session and returns who held it; `lapsed` counts a failed delivery for each message that was out.
    pub(super) fn free_session(
        &mut self,
        session: &str,
        lapsed: bool,
        context: &mut Context<'_>,
    ) -> Option<Holder> {
        let holder = self.sessions.unlock(session)?;
        let out: Vec<Sequence> = self
            .main
            .locked()
            .into_iter()
            .filter(|sequence| {
                self.main.get(*sequence).and_then(|entry| entry.message.properties.session_id())
                    == Some(session)
            })
            .collect();
        self.main.wake();
        for sequence in out {
            if lapsed {
                self.fail(Side::Main, sequence, context, |place, sequence, delivery_count| {
                    Event::LockLapsed { place, sequence, delivery_count }
                });
            } else {
                self.main.change(sequence, |entry| entry.lock = None);
            }
        }
        Some(holder)
    }

    /// The lock of a session lapses.
    pub(super) fn lapse_session(&mut self, session: &str, context: &mut Context<'_>) {
        if let Some(holder) = self.free_session(session, true, context) {
            let (place, session) = (self.place(Side::Main), session.into());
            context.events.push(Event::SessionLapsed { place, session, holder });
        }
    }

    /// Refuses who does not hold a session.
    pub(super) fn check_holder(&self, session: &str, holder: &Holder) -> Result<(), Error> {
        if self.sessions.standing(session, holder).is_held() { Ok(()) } else { Err(Error::SessionLockLost) }
    }

    /// The lock token's message, if the token is still good.
    pub(super) fn locked(&self, side: Side, token: uuid::Uuid) -> Result<Sequence, Error> {
        self.store(side).by_token(token).ok_or(Error::MessageLockLost)
    }
}

/// Longest reason and description that the service stores.
const LONGEST_TEXT: usize = 4096;

/// Stores with a message why it was dead-lettered.
pub(super) fn describe(entry: &mut Entry, reason: Option<&str>, description: Option<&str>) {
    let message = Arc::make_mut(&mut entry.message);
    for (name, text) in [("DeadLetterReason", reason), ("DeadLetterErrorDescription", description)] {
        if let Some(text) = text {
            let cut = text.chars().take(LONGEST_TEXT).collect();
            message.set_property(name, Value::String(cut));
        }
    }
}
