//! What this replica has written lately: per user, the newest version of each property.
//!
//! It is what keeps an old change from overwriting a newer one, and what lets a message whose lock was lost
//! after its write be completed on redelivery without a second write: such a message changes nothing any
//! more. Bounded: the user written longest ago is forgotten first.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::Work;
use crate::{
    ids::{ContactId, IdState, UserId},
    lww_register::{LwwRegister, Stamp},
    patch::{MovesFrom, PatchEntry, Previous, PropertyValue, UserPatch},
    property::Property,
};

/// The newest value of each property of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    values: Vec<(Property, LwwRegister<PropertyValue>)>,
    /// Addresses and elements of lists that contacts had or have, the newest last.
    had: Vec<Had>,
}

/// A text that a contact had in a property, written or to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Had {
    property: Property,
    contact: ContactId,
    text: Box<str>,
}

/// How many such texts are remembered of a user: more than there are changes in the seconds by which a look lags behind.
const REMEMBERED: usize = 16;

impl Known {
    /// Takes a change in.
    pub(super) fn add(&mut self, stamp: Stamp, patch: &UserPatch) {
        for (property, value) in patch.iter() {
            self.register(property).set(stamp, value.clone());
            let is_newest = self.newest(property).is_some_and(|(newest, _)| *newest == stamp);
            for (index, had) in had(property, value).enumerate() {
                // What comes late was there before what is known.
                let place = if is_newest { self.had.len() } else { index };
                self.had.retain(|known| *known != had);
                self.had.insert(place.min(self.had.len()), had);
            }
        }
        self.had.drain(..self.had.len().saturating_sub(REMEMBERED));
    }

    /// Somebody signed in with this address until the one that is known now took its place. It is what a message without
    /// a pre image does not tell: which address for password reset was his.
    pub(super) fn gave_way(&mut self, text: &str) {
        let (Some(sign_in), Some(property)) =
            (Property::named(Property::SIGN_IN), Property::named(Property::RESET))
        else {
            return;
        };
        let Some((_, PropertyValue::SignIn(wanted))) = self.newest(&sign_in) else { return };
        let Some(contact) = wanted.contact else { return };
        let had = Had { property, contact, text: text.into() };
        if !self.had.contains(&had) {
            self.had.insert(0, had);
        }
    }

    /// Tells each address and element what its contact had before, the newest first.
    pub(super) fn tell_earlier(&self, entries: &mut [PatchEntry]) {
        for PatchEntry { property, value, .. } in entries {
            let of = |contact: ContactId| -> Box<[Box<str>]> {
                let had = self.had.iter().rev();
                let same = had.filter(|had| had.contact == contact && had.property == *property);
                same.map(|had| had.text.clone()).collect()
            };
            match value {
                PropertyValue::SignIn(wanted) => wanted.earlier = wanted.contact.map(of).unwrap_or_default(),
                PropertyValue::Element(wanted) => wanted.earlier = wanted.contact.map(of).unwrap_or_default(),
                _ => {}
            }
        }
    }

    /// Nothing is known of these.
    pub(super) fn forget(&mut self, properties: &[Property]) {
        self.values.retain(|(property, _)| !properties.contains(property));
    }

    /// What brings a user from what `before` knew to what is known now; empty if nothing does.
    pub(super) fn since(&self, before: &Self) -> Vec<PatchEntry> {
        let differing = self.values.iter().filter_map(|(property, register)| {
            let (stamp, value) = register.newest()?;
            let unchanged = before.newest(property) == Some((stamp, value));
            (!unchanged).then(|| PatchEntry {
                property: property.clone(),
                value: value.clone(),
                stamp: *stamp,
            })
        });
        differing.collect()
    }

    /// Everything known, each value with its stamp.
    pub(super) fn entries(&self) -> Vec<PatchEntry> {
        self.since(&Self::default())
    }

    /// Whether the newest value of some property of this patch, `superseded` ones aside, came with this stamp.
    pub(super) fn holds(&self, stamp: Stamp, patch: &UserPatch, superseded: &[Property]) -> bool {
        patch.iter().any(|(property, _)| {
            !superseded.contains(property)
                && self.newest(property).is_some_and(|(newest, _)| *newest == stamp)
        })
    }

    fn newest(&self, property: &Property) -> Option<(&Stamp, &PropertyValue)> {
        self.values.iter().find(|(known, _)| known == property).and_then(|(_, register)| register.newest())
    }

    fn register(&mut self, property: &Property) -> &mut LwwRegister<PropertyValue> {
        let index = self.values.iter().position(|(known, _)| known == property).unwrap_or_else(|| {
            self.values.push((property.clone(), LwwRegister::default()));
            self.values.len() - 1
        });
        &mut self.values[index].1
    }
}

/// What a contact had before and has by this value, in that order.
fn had(property: &Property, value: &PropertyValue) -> impl Iterator<Item = Had> {
    let (contact, texts) = match value {
        // A message that may move no address says nothing about whose it was.
        PropertyValue::SignIn(wanted) if wanted.from != MovesFrom::Nowhere => {
            (wanted.contact, [wanted.previous.as_ref(), Some(&wanted.address)])
        }
        PropertyValue::Element(wanted) => {
            let previous = match &wanted.previous {
                Previous::Was(text) => Some(text),
                Previous::Unknown | Previous::Empty => None,
            };
            (wanted.contact, [previous, wanted.text.as_ref()])
        }
        _ => (None, [None, None]),
    };
    let texts = texts.into_iter().flatten();
    contact.into_iter().flat_map(move |contact| {
        texts.clone().map(move |text| Had { property: property.clone(), contact, text: text.clone() })
    })
}

/// The memory of all users.
#[derive(Debug)]
pub(super) struct Applied(LruCache<UserId, Known, IdState>);

impl Applied {
    /// A memory of at most so many users.
    pub(super) fn new(users: NonZeroUsize) -> Self {
        Self(LruCache::with_hasher(users, IdState::default()))
    }

    /// What is known of a user.
    pub(super) fn get(&mut self, user: UserId) -> Known {
        self.0.get(&user).cloned().unwrap_or_default()
    }

    /// Whether the row versions of the organization went back since a user was written last.
    pub(super) fn went_back<T>(&self, user: UserId, work: &Work<T>) -> bool {
        let Some(known) = self.0.peek(&user).filter(|_| work.stamp.version.row.is_some()) else {
            return false;
        };
        let written = |property| known.newest(property).map(|(stamp, _)| stamp.version);
        work.patch
            .iter()
            .filter_map(|(property, _)| written(property))
            .any(|version| work.stamp.version.went_back_from(&version))
    }

    /// What was known of a user may not hold any more.
    pub(super) fn forget(&mut self, user: UserId) {
        self.0.pop(&user);
    }

    /// A write succeeded.
    pub(super) fn put(&mut self, user: UserId, known: Known) {
        self.0.put(user, known);
    }
}
