//! What was counted. Never a value, so all of it may be shown.

use std::collections::{BTreeMap, BTreeSet};

use super::{cause::DriftCause, comparison::UserDifference};
use crate::{plan::SkipReason, property::Property};

/// Counts of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Contacts read.
    pub contacts: u64,
    /// Users read.
    pub users: u64,
    /// Contacts of which a user was planned.
    pub linked: u64,
    /// Contacts of which none was, and why not.
    pub passed: BTreeMap<SkipReason, u64>,
    /// Linked contacts whose user is as the row says.
    pub equal: u64,
    /// Linked contacts that differ, and that were changed so lately that their messages may be under way.
    pub waiting: u64,
    /// Linked contacts with a difference, by its causes. One contact can count under several.
    pub causes: BTreeMap<DriftCause, u64>,
    /// Users, by property and cause.
    pub properties: BTreeMap<(Property, DriftCause), u64>,
    /// Users for whom a write would empty the property.
    pub clears: BTreeMap<Property, u64>,
    /// Users who would be written.
    pub writes: u64,
}

impl Totals {
    /// Counts one difference.
    pub fn differs(&mut self, difference: &UserDifference) {
        let writes = difference.is_written();
        self.writes += u64::from(writes);
        for (property, found) in &difference.found {
            *self.properties.entry((property.clone(), found.cause)).or_default() += 1;
            if found.clears && found.written {
                *self.clears.entry(property.clone()).or_default() += 1;
            }
        }
        let causes: BTreeSet<DriftCause> = difference.found.values().map(|found| found.cause).collect();
        for cause in causes {
            *self.causes.entry(cause).or_default() += 1;
        }
    }

    /// Counts a contact that differs as a whole.
    pub fn caused(&mut self, cause: DriftCause) {
        *self.causes.entry(cause).or_default() += 1;
    }

    /// How many contacts have this cause.
    #[must_use]
    pub fn of(&self, cause: DriftCause) -> u64 {
        self.causes.get(&cause).copied().unwrap_or_default()
    }
}
