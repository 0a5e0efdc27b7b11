//! The properties that a change gives, on their way to a patch.

use super::intent::{Plan, SkipReason};
use crate::{
    change::Change,
    ids::UserId,
    mapping::MappingRow,
    patch::{ListElement, MovesFrom, PropertyValue, SignIn, UserPatch},
    property::Property,
};

/// What the rows of the mapping give.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) values: Vec<(Property, PropertyValue)>,
    /// Whether a row gives nothing because the column that it requires is not true.
    pub(super) unmet: bool,
}

impl Entries {
    pub(super) fn put(&mut self, row: &MappingRow, value: Option<PropertyValue>) {
        self.values.extend(value.map(|value| (row.property.clone(), value)));
    }

    pub(super) fn write(self, user: UserId, change: &Change, from: MovesFrom) -> Plan {
        let bound = |value| match value {
            PropertyValue::SignIn(wanted) => SignIn { from, contact: Some(change.contact), ..*wanted }.into(),
            PropertyValue::Element(wanted) => ListElement { contact: Some(change.contact), ..*wanted }.into(),
            value => value,
        };
        let entries = self.values.into_iter().map(|(property, value)| (property, bound(value)));
        match UserPatch::new(entries) {
            Some(patch) => Plan::Write { user, patch },
            None if self.unmet => Plan::Nothing(SkipReason::RequirementNotMet),
            None => Plan::Nothing(SkipReason::NothingMapped),
        }
    }
}
