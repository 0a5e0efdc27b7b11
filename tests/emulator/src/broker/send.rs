//! Messages on their way in: checks, duplicates, schedules, topics and forwarding.

use std::{sync::Arc, time::Duration};

use super::{
    Broker, EntityOptions, Error, Event, Message, Rule, Sequence, Target, Time,
    entity::{Kind, describe},
    message::id_text,
    place::Side,
    store::{Entry, Hold},
};

/// Entities that a message may pass through before the service gives up.
const MOST_HOPS: u32 = 4;

/// Longest message id, session id and partition key, in characters.
const LONGEST_ID: usize = 128;

/// A message on its way into an entity.
struct Arrival {
    entry: Entry,
    hops: u32,
}

impl Broker {
    /// Accepts messages, all or none, and returns the numbers that they got here.
    ///
    /// A message that is to appear later is kept until then. A duplicate is accepted and dropped; its number is 0.
    pub fn send(
        &mut self,
        target: Target,
        messages: Vec<Message>,
        now: Time,
    ) -> Result<Vec<Sequence>, Error> {
        self.check(target, &messages, now)?;
        let mut sequences = Vec::with_capacity(messages.len());
        for message in messages {
            sequences.push(self.accept(target, message, now)?);
        }
        Ok(sequences)
    }

    /// Accepts messages that appear later, all or none. Each must say when; a past time means at once.
    pub fn schedule(
        &mut self,
        target: Target,
        messages: Vec<Message>,
        now: Time,
    ) -> Result<Vec<Sequence>, Error> {
        if messages.iter().any(|message| message.scheduled.is_none()) {
            return Err(Error::Argument("ScheduledEnqueueTimeUtc is not set on a message.".to_owned()));
        }
        self.send(target, messages, now)
    }

    fn check(&mut self, target: Target, messages: &[Message], now: Time) -> Result<(), Error> {
        // Space that expired messages held is free again.
        self.within(target, now, |entity, _, _| {
            if target.side != Side::Main {
                return Err(Error::NotAllowed("A sub-queue takes no messages from senders.".to_owned()));
            }
            if entity.kind == Kind::Subscription {
                return Err(Error::NotAllowed(
                    "A subscription takes messages from its topic only.".to_owned(),
                ));
            }
            if !entity.options.status.takes() {
                return Err(Error::Disabled(entity.name.to_string()));
            }
            for message in messages {
                check_message(message, &entity.options)?;
            }
            let size: u64 = messages.iter().map(Message::size).sum();
            if entity.bytes() + size > entity.options.max_size {
                return Err(Error::QuotaExceeded(entity.name.to_string()));
            }
            Ok(())
        })?
    }

    fn accept(&mut self, target: Target, mut message: Message, now: Time) -> Result<Sequence, Error> {
        if message.properties.message_id().is_none() && !self.quirks.keeps_missing_ids {
            let id = self.new_message_id();
            message.ensure_message_id(|| id);
        }
        let id = message.message_id().unwrap_or_default();
        let entity = self.entity_mut(target)?;
        if let Some(window) = entity.options.duplicate_window
            && !entity.seen.is_new(&id, window, now)
        {
            let place = entity.place(Side::Main);
            self.events.push(Event::DuplicateDropped { place, message_id: id.into() });
            return Ok(0);
        }
        let later = message.scheduled.filter(|at| *at > now);
        let entry = Entry {
            message: Arc::new(message),
            enqueued: now,
            first_sequence: None,
            delivery_count: 0,
            expires: None,
            hold: later.map_or(Hold::Active, Hold::Scheduled),
            lock: None,
            dead_letter_source: None,
        };
        if later.is_some() {
            let entity = self.entity_mut(target)?;
            let sequence = entity.main.insert(entry);
            let place = entity.place(Side::Main);
            self.events.push(Event::Scheduled { place, sequence });
            return Ok(sequence);
        }
        Ok(self.arrive(target, Arrival { entry, hops: 0 }, now))
    }

    /// Takes back scheduled messages, all or none.
    pub fn cancel_scheduled(
        &mut self,
        target: Target,
        sequences: &[Sequence],
        now: Time,
    ) -> Result<(), Error> {
        self.within(target, now, |entity, context, _| {
            let scheduled = |sequence: Sequence| {
                entity.main.get(sequence).is_some_and(|entry| matches!(entry.hold, Hold::Scheduled(_)))
            };
            if let Some(missing) = sequences.iter().find(|sequence| !scheduled(**sequence)) {
                return Err(Error::MessageNotFound(*missing));
            }
            for sequence in sequences {
                if entity.main.remove(*sequence).is_some() {
                    let place = entity.place(Side::Main);
                    context.events.push(Event::Cancelled { place, sequence: *sequence });
                }
            }
            Ok(())
        })?
    }

    /// A scheduled message's time has come: it is enqueued as if it had been sent just now.
    pub(super) fn appear(&mut self, target: Target, mut entry: Entry, now: Time) {
        entry.hold = Hold::Active;
        self.arrive(target, Arrival { entry, hops: 0 }, now);
    }

    /// Puts a message into an entity or sends it on to where the entity points. Returns its number here.
    fn arrive(&mut self, target: Target, mut arrival: Arrival, now: Time) -> Sequence {
        let Ok(entity) = self.entity_mut(target) else { return 0 };
        let options = &entity.options;
        let ttl = shortest(arrival.entry.message.ttl, options.default_ttl);
        let forward = options.forward_to.clone();
        if let (Kind::Topic, Some(ttl)) = (entity.kind, ttl) {
            Arc::make_mut(&mut arrival.entry.message).ttl = Some(ttl);
        }
        if entity.kind == Kind::Topic {
            return self.fan_out(target, &arrival, now);
        }
        if let Some(next) = forward.and_then(|name| self.resolve(&name).ok()) {
            return self.forward(target, next, arrival, now);
        }
        arrival.entry.enqueued = now;
        arrival.entry.expires = ttl.map(|ttl| now + ttl);
        self.keep(target, arrival.entry)
    }

    fn keep(&mut self, target: Target, entry: Entry) -> Sequence {
        let message_id = entry.message.message_id().unwrap_or_default().into();
        let Ok(entity) = self.entity_mut(target) else { return 0 };
        let place = entity.place(target.side);
        let sequence = entity.store_mut(target.side).insert(entry);
        self.events.push(Event::Enqueued { place, sequence, message_id });
        sequence
    }

    fn fan_out(&mut self, topic: Target, arrival: &Arrival, now: Time) -> Sequence {
        let Ok(entity) = self.entity(topic) else { return 0 };
        for index in entity.subscriptions.clone() {
            let subscription = Target { entity: index, side: Side::Main };
            let Ok(entity) = self.entity(subscription) else { continue };
            for message in copies(&entity.rules, &arrival.entry.message) {
                let entry = Entry { message, ..arrival.entry.clone() };
                self.arrive(subscription, Arrival { entry, hops: arrival.hops }, now);
            }
        }
        0
    }

    fn forward(&mut self, from: Target, to: Target, mut arrival: Arrival, now: Time) -> Sequence {
        arrival.hops += 1;
        if arrival.hops > MOST_HOPS {
            let text = "The message was forwarded more often than the service allows.";
            describe(&mut arrival.entry, Some("MaxTransferHopCountExceeded"), Some(text));
            return self.keep(from.on(Side::DeadLetter), arrival.entry);
        }
        self.arrive(to, arrival, now)
    }

    /// Puts a message among the dead letters of an entity, or where these are forwarded to.
    pub(super) fn bury(&mut self, target: Target, mut entry: Entry, now: Time) {
        entry.lock = None;
        entry.hold = Hold::Active;
        entry.expires = None;
        let forward =
            self.entity(target).ok().and_then(|entity| entity.options.forward_dead_letters_to.clone());
        if let Some(next) = forward.and_then(|name| self.resolve(&name).ok()) {
            entry.dead_letter_source = Some(self.name(target).to_string());
            self.arrive(next, Arrival { entry, hops: 1 }, now);
            return;
        }
        self.keep(target.on(Side::DeadLetter), entry);
    }
}

fn shortest(left: Option<Duration>, right: Option<Duration>) -> Option<Duration> {
    left.into_iter().chain(right).min()
}

fn check_message(message: &Message, options: &EntityOptions) -> Result<(), Error> {
    let size = message.size();
    if size > options.max_message_size {
        return Err(Error::TooLarge { size, limit: options.max_message_size });
    }
    let session = message.properties.session_id();
    if options.requires_session && session.is_none() {
        return Err(Error::SessionIdMissing);
    }
    let id = message.message_id();
    let partition = message.annotations.iter().find(|(key, _)| key == "x-opt-partition-key");
    let partition = partition.map(|(_, value)| id_text(value));
    let limited =
        [("MessageId", id.as_deref()), ("SessionId", session), ("PartitionKey", partition.as_deref())];
    for (name, text) in limited {
        if text.is_some_and(|text| text.chars().count() > LONGEST_ID) {
            return Err(Error::Argument(format!("{name} is longer than {LONGEST_ID} characters.")));
        }
    }
    Ok(())
}

/// The copies that a subscription gets: one for all rules without an action, and one for each with.
fn copies(rules: &[Rule], message: &Arc<Message>) -> Vec<Arc<Message>> {
    let mut copies = Vec::new();
    let mut plain = false;
    for rule in rules.iter().filter(|rule| rule.filter.matches(message)) {
        match &rule.action {
            None => plain = true,
            Some(action) => {
                let mut copy = Message::clone(message);
                action.apply(&mut copy);
                copies.push(Arc::new(copy));
            }
        }
    }
    if plain {
        copies.push(Arc::clone(message));
    }
    copies
}
