//! What a user shall look like afterwards: a non-empty set of properties with absolute values.

use crate::{
    ids::{ContactId, UserId},
    lww_register::Stamp,
    priority::Priority,
    property::{Property, PropertyKind},
};

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
    /// A whole number.
    Integer(i32),
    /// The address with which the user signs in.
    SignIn(Box<SignIn>),
}

impl From<SignIn> for PropertyValue {
    fn from(wanted: SignIn) -> Self {
        Self::SignIn(Box::new(wanted))
    }
}

/// The address with which a user shall sign in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignIn {
    /// The new address.
    pub address: Box<str>,
    /// The address before, if a pre image tells: it says which of several to change.
    pub previous: Option<Box<str>>,
    /// From where it may be moved.
    pub from: MovesFrom,
    /// The contact that asks for it.
    pub contact: Option<ContactId>,
}

/// From where a sign-in address may be moved. Whoever can move it can take the account over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MovesFrom {
    /// From any address, if it is clear which one is meant.
    #[default]
    Any,
    /// From the contact's address before, or from the one that was written last for the same contact.
    Previous,
    /// From none: the user has the address already, or it is not for this message to give it to him.
    Nowhere,
}

impl MovesFrom {
    /// Under which condition the address is moved, in words; `None` if under none.
    #[must_use]
    pub const fn condition(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Previous => Some(
                "only if the user signs in with the contact's address before, or with the one written for it last \
                 (link.match)",
            ),
            Self::Nowhere => Some(
                "only if the user signs in with this address already: the link is new in this message, or no pre image \
                 shows that it is not (link.match)",
            ),
        }
    }
}

impl SignIn {
    /// A move to this address, from wherever.
    #[must_use]
    pub fn to(address: &str) -> Self {
        Self { address: address.into(), previous: None, from: MovesFrom::Any, contact: None }
    }
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

    /// From where the sign-in address may be moved; from anywhere if the patch sets none.
    #[must_use]
    pub fn moves_from(&self) -> MovesFrom {
        self.sign_in().map(|wanted| wanted.from).unwrap_or_default()
    }

    fn sign_in(&self) -> Option<&SignIn> {
        self.0.iter().find_map(|(_, value)| match value {
            PropertyValue::SignIn(wanted) => Some(&**wanted),
            _ => None,
        })
    }

    /// The parts that are decided apart: an address that may not be moved from anywhere must not keep the rest from
    /// being written. With it goes whatever else would be given that address, or is an address too.
    pub fn parted(self) -> impl Iterator<Item = Self> {
        let bound = self.sign_in().filter(|wanted| wanted.from != MovesFrom::Any);
        let (addresses, rest): (Vec<_>, Vec<_>) = match bound.map(|wanted| wanted.address.clone()) {
            Some(address) => self.0.into_iter().partition(|entry| is_address(entry, &address)),
            None => (Vec::new(), self.0),
        };
        [rest, addresses].into_iter().filter(|part| !part.is_empty()).map(Self)
    }

    /// The value a property shall have, if the patch sets it.
    #[must_use]
    pub fn get(&self, property: &Property) -> Option<&PropertyValue> {
        self.0.iter().find(|(known, _)| known == property).map(|(_, value)| value)
    }
}

/// Whether an entry is about an address, or gives another property this one.
fn is_address((property, value): &(Property, PropertyValue), address: &str) -> bool {
    let kind = property.rules().kind;
    let is_kind = matches!(
        kind,
        PropertyKind::SignIn | PropertyKind::Address { .. } | PropertyKind::List { addresses: true, .. }
    );
    is_kind
        || matches!(value, PropertyValue::Text(text) | PropertyValue::Single(text) if text.eq_ignore_ascii_case(address))
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
pub struct PatchEntry {
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
    pub entries: Vec<PatchEntry>,
    /// What this replica wrote last. A look at the user can lag behind it, so what the look shows must neither
    /// be taken for the present state nor make the mark forget.
    pub known: Vec<PatchEntry>,
    /// How much the most urgent of the merged changes is waited for.
    pub urgency: Priority,
    /// The contacts whose changes are in it, each once; none for a repair.
    pub contacts: Vec<ContactId>,
}
