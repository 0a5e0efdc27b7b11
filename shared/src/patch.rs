//! What a user shall look like afterwards: a non-empty set of properties with absolute values.

use crate::{ids::UserId, property::Property, register::Stamp, urgency::Urgency};

/// The value a property shall have. Absolute, so that writing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropertyValue {
    /// Empty: `null` for a scalar, `[]` for a collection.
    Clear,
    /// A text.
    Text(Box<str>),
    /// A collection with this one element.
    Single(Box<str>),
    /// Yes or no.
    Bool(bool),
    /// The address with which the user signs in.
    SignIn {
        /// The new address.
        address: Box<str>,
        /// The address before, if a pre image tells: it says which of several to change.
        previous: Option<Box<str>>,
    },
}

/// Properties and their new values, never none, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPatch(Vec<(Property, PropertyValue)>);

impl UserPatch {
    /// A patch of these entries; `None` if there is none. The last of two values for one property wins.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (Property, PropertyValue)>) -> Option<Self> {
        let mut patch: Vec<(Property, PropertyValue)> = Vec::new();
        // A handful of entries: looking through them is quicker than hashing.
        for (property, value) in entries {
            match patch.iter_mut().find(|(known, _)| *known == property) {
                Some(slot) => slot.1 = value,
                None => patch.push((property, value)),
            }
        }
        (!patch.is_empty()).then_some(Self(patch))
    }

    /// The entries.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Property, &PropertyValue)> {
        self.0.iter().map(|(property, value)| (property, value))
    }

    /// The value a property shall have, if the patch sets it.
    #[must_use]
    pub fn get(&self, property: &Property) -> Option<&PropertyValue> {
        self.0.iter().find(|(known, _)| known == property).map(|(_, value)| value)
    }
}

impl IntoIterator for UserPatch {
    type Item = (Property, PropertyValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One property of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The property.
    pub property: Property,
    /// The value it shall have.
    pub value: PropertyValue,
    /// When that value was set.
    pub stamp: Stamp,
}

/// What one user shall look like: the newest values of all changes that were merged, each with its stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserWrite {
    /// The user.
    pub user: UserId,
    /// The properties, never none, each once.
    pub entries: Vec<Entry>,
    /// What this replica wrote last. A look at the user can lag behind it, so what the look shows must neither
    /// be taken for the present state nor make the mark forget.
    pub known: Vec<Entry>,
    /// How much the most urgent of the merged changes is waited for.
    pub urgency: Urgency,
}
