//! What this replica has written lately: per user, the newest version of each property.
//!
//! It is what keeps an old change from overwriting a newer one, and what lets a message whose lock was lost
//! after its write be completed on redelivery without a second write: such a message changes nothing any
//! more. Bounded: the user written longest ago is forgotten first.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::Work;
use crate::{
    ids::{IdState, UserId},
    lww_register::{LwwRegister, Stamp},
    patch::{PatchEntry, PropertyValue, UserPatch},
    property::Property,
};

/// The newest value of each property of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known(Vec<(Property, LwwRegister<PropertyValue>)>);

impl Known {
    /// Takes a change in.
    pub(super) fn add(&mut self, stamp: Stamp, patch: &UserPatch) {
        for (property, value) in patch.iter() {
            self.register(property).set(stamp, value.clone());
        }
    }

    /// What brings a user from what `before` knew to what is known now; empty if nothing does.
    pub(super) fn since(&self, before: &Self) -> Vec<PatchEntry> {
        let differing = self.0.iter().filter_map(|(property, register)| {
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
        self.0.iter().find(|(known, _)| known == property).and_then(|(_, register)| register.newest())
    }

    fn register(&mut self, property: &Property) -> &mut LwwRegister<PropertyValue> {
        let index = self.0.iter().position(|(known, _)| known == property).unwrap_or_else(|| {
            self.0.push((property.clone(), LwwRegister::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
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
