//! What the messages of a world say, and what must come of them.

use std::{collections::BTreeMap, fmt};

use shared::{
    ids::{LockToken, UserId},
    monotonic_time::MonotonicTime,
    patch::{PropertyValue, UserPatch},
    property::Property,
    version::Version,
};
use uuid::Uuid;

/// The properties that changes touch.
const PROPERTIES: [&str; 3] = ["givenName", "mail", "surname"];

/// A change of one property of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The user.
    pub(super) user: UserId,
    /// When it happened.
    pub(super) version: Version,
    /// The property.
    pub(super) property: Property,
    /// Its value.
    pub(super) value: PropertyValue,
    /// Whether Graph refuses it for good.
    pub(super) poison: bool,
}

impl Change {
    /// The change with this number, made at this time. No two changes are made in the same millisecond:
    /// which of them counts would depend on their arrival, and that no mark remembers.
    pub(super) fn new(number: usize, user: u8, version: Version, property: usize, poison: bool) -> Self {
        let name = PROPERTIES[property % PROPERTIES.len()];
        Self {
            user: UserId(Uuid::from_u128(u128::from(user) + 1)),
            version,
            property: Property::named(name).expect("a property"),
            value: PropertyValue::Text(format!("{}{number}", if poison { POISON } else { "v" }).into()),
            poison,
        }
    }

    /// What the planner makes of it.
    pub(super) fn patch(&self) -> UserPatch {
        UserPatch::new([(self.property.clone(), self.value.clone())]).expect("one entry")
    }
}

const POISON: &str = "poison";

/// Whether a user is one of the first so many, for whom Graph answers the same for ever.
pub(super) fn is_guilty(user: UserId, guilty: u8) -> bool {
    (1..=u128::from(guilty)).contains(&user.0.as_u128())
}

/// The property that is refused for everybody, in worlds where one is.
pub(super) fn is_refused(property: &Property) -> bool {
    property.name() == PROPERTIES[0]
}

/// Whether Graph refuses this value for good.
pub(super) fn is_poison(value: &PropertyValue) -> bool {
    matches!(value, PropertyValue::Text(text) if text.starts_with(POISON))
}

/// What the directory must hold: the latest of the values that are not poison. Changes of a world are made one after the
/// other, so the time tells, whatever their row versions say.
pub(super) fn expected<'c>(
    changes: impl Iterator<Item = &'c Change>,
) -> BTreeMap<(UserId, Property), PropertyValue> {
    let mut latest: BTreeMap<(UserId, Property), &Change> = BTreeMap::new();
    for change in changes.filter(|change| !change.poison) {
        let newest = latest.entry((change.user, change.property.clone())).or_insert(change);
        if change.version.at > newest.version.at {
            *newest = change;
        }
    }
    latest.into_iter().map(|(key, change)| (key, change.value.clone())).collect()
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A message is still there although the world has been quiet for hours.
    Stuck(String),
    /// A healthy message was dead-lettered.
    DeadLettered(String),
    /// A change that could not be applied is nowhere.
    Lost(usize),
    /// A message used up its deliveries.
    DeliveriesSpent(String),
    /// A change was held aside although its author has not changed too many users.
    HeldFalsely(String),
    /// More messages stand for one original than can be explained.
    Multiplied(String),
    /// A replica that was asked to stop began another write.
    WriteAfterStop(UserId),
    /// A replica that was asked to stop still holds messages after its grace.
    NotStopped(usize),
    /// A replica that has stopped left locks to lapse.
    LocksLeft(usize),
    /// A lock lapsed although its replica was alive and able to renew it.
    LockLapsed(LockToken),
    /// A user was written twice at once by one replica.
    TwoWrites(UserId),
    /// A replica began a write in one term while another one could begin one in another.
    TwoWriters(u64, u64),
    /// A write of one term was begun after one of another.
    Term(u64, u64),
    /// Replicas are alive, nothing is wrong any more, and none has been able to write.
    NobodyWrites(MonotonicTime),
    /// A replica that has stopped left the session to lapse.
    SessionLeft(u64),
    /// The engine asked for something before it said it would, or said so of a time that had come.
    Announced(String),
    /// An older change of a contact was written over a newer one.
    Overwritten {
        /// Whose.
        user: UserId,
        /// Which property.
        property: Property,
        /// The row version that was there.
        newer: u64,
        /// The row version that was written.
        older: u64,
    },
    /// A pass had a user written who needed no write.
    Needless(UserId),
    /// Nothing changes any more, and passes still find something to write.
    NoEnd(u32),
    /// The directory is not as the model says.
    Value {
        /// Whose.
        user: UserId,
        /// Which property.
        property: Property,
        /// What it must be.
        expected: PropertyValue,
        /// What it is.
        found: Option<PropertyValue>,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck(what) => write!(f, "a message is stuck: {what}"),
            Self::DeadLettered(what) => write!(f, "a healthy message was dead-lettered: {what}"),
            Self::Lost(change) => write!(f, "change {change} was neither applied nor dead-lettered"),
            Self::DeliveriesSpent(what) => write!(f, "a message used up its deliveries: {what}"),
            Self::HeldFalsely(what) => write!(f, "a message was held aside without need: {what}"),
            Self::Multiplied(what) => write!(f, "one message has become many: {what}"),
            Self::WriteAfterStop(user) => write!(f, "a replica that was asked to stop began to write {user}"),
            Self::NotStopped(held) => write!(f, "a replica holds {held} messages long after it was stopped"),
            Self::LocksLeft(locks) => write!(f, "a replica has stopped and left {locks} locks to lapse"),
            Self::TwoWrites(user) => write!(f, "two writes of {user} at once in one replica"),
            Self::LockLapsed(lock) => {
                write!(f, "the lock {lock:?} lapsed in the hands of a replica that lives")
            }
            Self::TwoWriters(term, other) => {
                write!(f, "a write of term {term} began while one of term {other} could")
            }
            Self::Term(last, term) => write!(f, "a write of term {term} began after one of term {last}"),
            Self::NobodyWrites(at) => write!(f, "nobody is able to write at {at:?}"),
            Self::SessionLeft(link) => write!(f, "a replica has stopped and left the session to link {link}"),
            Self::Announced(what) => write!(f, "the engine announced {what}"),
            Self::Overwritten { user, property, newer, older } => {
                write!(f, "{property} of {user} was of version {newer}, and {older} was written over it")
            }
            Self::Needless(user) => write!(f, "{user} was written for a repair that he did not need"),
            Self::NoEnd(passes) => {
                write!(f, "{passes} passes after the last change there is still a difference")
            }
            Self::Value { user, property, expected, found } => {
                write!(f, "{property} of {user} is {found:?} and must be {expected:?}")
            }
        }
    }
}
