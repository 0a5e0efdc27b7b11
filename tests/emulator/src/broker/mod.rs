//! What Service Bus does with messages, without input or output: no socket, no clock, no runtime.
//!
//! Time is an argument, and an operation on an entity brings that entity up to date first. Whoever drives the broker
//! calls [`Broker::advance`] at the latest when [`Broker::next_deadline`] has come and before it asks what takes no
//! time as an argument, hands on [`Broker::take_events`] and wakes whoever waits at one of
//! [`Broker::take_wakes`].

mod duplicates;
mod entity;
mod error;
mod event;
mod message;
mod options;
mod place;
mod receive;
mod rule;
mod send;
mod session;
mod session_lock;
mod settle;
mod sql;
mod store;
mod time;
mod tokens;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use entity::{Kind, Mode};
pub use error::Error;
pub use event::{Event, Settled};
pub use message::{Message, Properties, data_section, id_text};
pub use options::{EntityOptions, EntityStatus};
pub use place::{Place, Side, entity_path};
pub use rule::{Correlation, Filter, Rule};
pub use session::{Holder, Standing};
pub use settle::Verb;
pub use sql::{SqlAction, SqlError, SqlFilter};
pub use store::{Hold, Sequence};
pub use time::Time;
pub use view::{Counts, Delivery, View};

use entity::{Context, Departure, Entity};
use tokens::Tokens;

/// A resolved address: quick to look up, and harmless when the entity is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    entity: usize,
    /// Which store of the entity.
    pub side: Side,
}

impl Target {
    /// Another store of the same entity.
    #[must_use]
    pub fn on(self, side: Side) -> Self {
        Self { side, ..self }
    }
}

/// Known ways to misbehave, for proving that a test suite notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Messages without an id stay without.
    pub keeps_missing_ids: bool,
    /// A released message counts as a failed delivery.
    pub counts_released: bool,
}

/// All entities of one namespace.
#[derive(Debug)]
pub struct Broker {
    // Slots are never used again, so that an old target cannot come to mean another entity.
    entities: Vec<Option<Entity>>,
    names: BTreeMap<String, usize>,
    tokens: Tokens,
    events: Vec<Event>,
    touched: BTreeSet<usize>,
    quirks: Quirks,
}

impl Broker {
    /// An empty namespace. The seed decides lock tokens and made-up message ids.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            entities: Vec::new(),
            names: BTreeMap::new(),
            tokens: Tokens::new(seed),
            events: Vec::new(),
            touched: BTreeSet::new(),
            quirks: Quirks::default(),
        }
    }

    /// Makes the broker misbehave in known ways.
    pub fn set_quirks(&mut self, quirks: Quirks) {
        self.quirks = quirks;
    }

    /// Adds a queue.
    pub fn add_queue(&mut self, name: &str, options: EntityOptions, now: Time) -> Result<(), Error> {
        self.add(name, Kind::Queue, options, now).map(drop)
    }

    /// Adds a topic, which has no subscriptions yet and so keeps nothing.
    pub fn add_topic(&mut self, name: &str, options: EntityOptions, now: Time) -> Result<(), Error> {
        self.add(name, Kind::Topic, options, now).map(drop)
    }

    /// Adds a subscription to a topic. Without rules it gets the one that lets everything in.
    pub fn add_subscription(
        &mut self,
        topic: &str,
        name: &str,
        options: EntityOptions,
        rules: Vec<Rule>,
        now: Time,
    ) -> Result<(), Error> {
        let parent = self.resolve(topic)?;
        if self.entity(parent)?.kind != Kind::Topic {
            return Err(Error::NotAllowed(format!("'{topic}' is not a topic.")));
        }
        let index = self.add(&format!("{topic}/Subscriptions/{name}"), Kind::Subscription, options, now)?;
        if let Some(subscription) = self.entities[index].as_mut() {
            subscription.rules = if rules.is_empty() { vec![Rule::everything()] } else { rules };
        }
        self.entity_mut(parent)?.subscriptions.push(index);
        Ok(())
    }

    fn add(&mut self, name: &str, kind: Kind, options: EntityOptions, now: Time) -> Result<usize, Error> {
        let path = entity_path(name);
        if self.names.contains_key(&path) {
            return Err(Error::AlreadyExists(name.to_owned()));
        }
        let index = self.entities.len();
        self.entities.push(Some(Entity::new(name, kind, options, now)));
        self.names.insert(path, index);
        Ok(index)
    }

    /// Removes an entity with all it holds; a topic takes its subscriptions along.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        let path = entity_path(name);
        let index = self.names.remove(&path).ok_or_else(|| Error::NotFound(name.to_owned()))?;
        if let Some(entity) = self.entities[index].take() {
            for subscription in entity.subscriptions {
                self.entities[subscription] = None;
                self.names.retain(|_, index| *index != subscription);
            }
        }
        for entity in self.entities.iter_mut().flatten() {
            entity.subscriptions.retain(|subscription| *subscription != index);
        }
        Ok(())
    }

    /// Finds what an address stands for, however it is spelled.
    pub fn resolve(&self, address: &str) -> Result<Target, Error> {
        let (path, side) = place::parse(address);
        let entity = *self.names.get(&path).ok_or_else(|| Error::NotFound(address.to_owned()))?;
        Ok(Target { entity, side })
    }

    /// Names, kinds and targets of all entities, by name.
    pub fn entities(&self) -> impl Iterator<Item = (&str, Kind, Target)> {
        self.names.values().filter_map(|index| {
            let entity = self.entities[*index].as_ref()?;
            Some((&*entity.name, entity.kind, Target { entity: *index, side: Side::Main }))
        })
    }

    /// The kind of an entity.
    pub fn kind(&self, target: Target) -> Result<Kind, Error> {
        Ok(self.entity(target)?.kind)
    }

    /// The settings of an entity.
    pub fn options(&self, target: Target) -> Result<&EntityOptions, Error> {
        Ok(&self.entity(target)?.options)
    }

    /// Changes the settings of an entity. Whether it has sessions cannot be changed.
    pub fn set_options(&mut self, target: Target, mut options: EntityOptions) -> Result<(), Error> {
        let entity = self.entity_mut(target)?;
        options.requires_session = entity.options.requires_session;
        entity.options = options;
        Ok(())
    }

    /// When an entity was made.
    pub fn created(&self, target: Target) -> Result<Time, Error> {
        Ok(self.entity(target)?.created)
    }

    /// The store that a target stands for, for people to read.
    pub fn place(&self, target: Target) -> Result<Place, Error> {
        Ok(self.entity(target)?.place(target.side))
    }

    /// Adds a rule to a subscription.
    pub fn add_rule(&mut self, target: Target, rule: Rule) -> Result<(), Error> {
        let rules = &mut self.subscription(target)?.rules;
        if rules.iter().any(|known| known.name == rule.name) {
            return Err(Error::AlreadyExists(rule.name));
        }
        rules.push(rule);
        Ok(())
    }

    /// Takes a rule off a subscription.
    pub fn remove_rule(&mut self, target: Target, name: &str) -> Result<(), Error> {
        let rules = &mut self.subscription(target)?.rules;
        let index = rules.iter().position(|rule| rule.name == name);
        rules.remove(index.ok_or_else(|| Error::RuleNotFound(name.to_owned()))?);
        Ok(())
    }

    /// The rules of a subscription.
    pub fn rules(&mut self, target: Target) -> Result<Vec<Rule>, Error> {
        Ok(self.subscription(target)?.rules.clone())
    }

    fn subscription(&mut self, target: Target) -> Result<&mut Entity, Error> {
        let entity = self.entity_mut(target)?;
        if entity.kind != Kind::Subscription {
            return Err(Error::NotAllowed("Only subscriptions have rules.".to_owned()));
        }
        Ok(entity)
    }

    /// How many messages a place holds.
    pub fn counts(&self, target: Target) -> Result<Counts, Error> {
        Ok(self.entity(target)?.counts(target.side))
    }

    fn entity(&self, target: Target) -> Result<&Entity, Error> {
        let entity = self.entities.get(target.entity).and_then(Option::as_ref);
        entity.ok_or_else(|| Error::NotFound("(removed)".to_owned()))
    }

    fn entity_mut(&mut self, target: Target) -> Result<&mut Entity, Error> {
        self.touched.insert(target.entity);
        let entity = self.entities.get_mut(target.entity).and_then(Option::as_mut);
        entity.ok_or_else(|| Error::NotFound("(removed)".to_owned()))
    }

    /// When something will happen by itself next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.entities.iter().flatten().filter_map(Entity::next_deadline).min()
    }

    /// Lets everything happen whose time has come.
    pub fn advance(&mut self, now: Time) {
        for entity in 0..self.entities.len() {
            let due = self.entities[entity].as_ref().and_then(Entity::next_deadline);
            if due.is_some_and(|due| due <= now) {
                self.within(Target { entity, side: Side::Main }, now, |_, _, _| ()).ok();
            }
        }
    }

    /// Runs an operation on one entity after bringing it up to `now`, then sends on what left it.
    fn within<R>(
        &mut self,
        target: Target,
        now: Time,
        operation: impl FnOnce(&mut Entity, &mut Context<'_>, &mut Tokens) -> R,
    ) -> Result<R, Error> {
        self.touched.insert(target.entity);
        let entity = self
            .entities
            .get_mut(target.entity)
            .and_then(Option::as_mut)
            .ok_or_else(|| Error::NotFound("(removed)".to_owned()))?;
        let mut context = Context { now, events: &mut self.events, departures: Vec::new() };
        entity.advance(&mut context);
        let due = std::mem::take(&mut context.departures);
        // What was due comes first: the operation may be looking for it.
        let result = if due.is_empty() {
            let result = operation(entity, &mut context, &mut self.tokens);
            let departures = context.departures;
            self.depart(target, departures, now);
            result
        } else {
            self.depart(target, due, now);
            return self.within(target, now, operation);
        };
        Ok(result)
    }

    fn depart(&mut self, from: Target, departures: Vec<Departure>, now: Time) {
        // Whichever of the entity's stores was asked for when their time had come.
        let (main, dead) = (from.on(Side::Main), from.on(Side::DeadLetter));
        for departure in departures {
            match departure {
                Departure::Appear(entry) => self.appear(main, *entry, now),
                Departure::Dead(entry) => self.bury(dead, *entry, now),
            }
        }
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What the operations since the last call mean for whoever waits.
    pub fn take_wakes(&mut self) -> Wakes {
        let mut wakes = Wakes::default();
        while let Some(index) = self.touched.pop_first() {
            let Some(entity) = self.entities[index].as_mut() else { continue };
            wakes.deadline = wakes.deadline.into_iter().chain(entity.next_deadline()).min();
            for side in [Side::Main, Side::DeadLetter, Side::TransferDeadLetter] {
                if entity.store_mut(side).take_woke() {
                    wakes.targets.push(Target { entity: index, side });
                }
            }
        }
        wakes
    }

    /// A made-up message id.
    fn new_message_id(&mut self) -> String {
        self.tokens.next().simple().to_string()
    }

    /// The name of an entity.
    fn name(&self, target: Target) -> Arc<str> {
        self.entity(target).map_or_else(|_| Arc::from(""), |entity| Arc::clone(&entity.name))
    }
}

/// What changed for those who wait.
#[derive(Clone, Debug, Default)]
pub struct Wakes {
    /// Places at which messages became ready or sessions free.
    pub targets: Vec<Target>,
    /// The earliest deadline of the entities concerned.
    pub deadline: Option<Time>,
}
