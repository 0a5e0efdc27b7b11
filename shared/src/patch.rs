//! What a user shall look like afterwards: a non-empty set of properties with absolute values.

use crate::{
    ids::{ContactId, UserId},
    lww_register::Stamp,
    priority::Priority,
    property::Property,
};

/// The value a property shall have. Absolute, so that writing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropertyValue {
    /// Empty: `null` for a scalar, `[]` for a collection.
    Clear,
    /// A text.
    Text(Box<str>),
    /// One element of a collection, the contact's own; what else is in it stays.
    Element(Box<ListElement>),
    /// A whole collection: what was read of a user, or what is written to him.
    List(Box<[Box<str>]>),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i32),
    /// The address with which the user signs in.
    SignIn(Box<SignIn>),
}

impl PropertyValue {
    /// The one text that is asked for, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Element(wanted) => wanted.text.as_deref(),
            Self::SignIn(wanted) => Some(&wanted.address),
            Self::Clear | Self::List(_) | Self::Bool(_) | Self::Integer(_) => None,
        }
    }

    /// Whether the same is asked for, whatever gives way to it.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SignIn(one), Self::SignIn(other)) => one.address.eq_ignore_ascii_case(&other.address),
            (Self::Element(one), Self::Element(other)) => one.text == other.text,
            (one, other) => one == other,
        }
    }
}

impl From<SignIn> for PropertyValue {
    fn from(wanted: SignIn) -> Self {
        Self::SignIn(Box::new(wanted))
    }
}

impl From<ListElement> for PropertyValue {
    fn from(wanted: ListElement) -> Self {
        Self::Element(Box::new(wanted))
    }
}

/// The contact's element of a list, such as its address in `otherMails`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListElement {
    /// The new text; `None` to take the contact's element out.
    pub text: Option<Box<str>>,
    /// What the contact had before: it says which element gives way.
    pub previous: Previous,
    /// What it had before that, the newest first, as far as this replica knows. A look at the user can lag behind, and
    /// of merged changes only the newest is written.
    pub earlier: Box<[Box<str>]>,
    /// The contact that asks for it.
    pub contact: Option<ContactId>,
}

/// The text that a contact had before a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Previous {
    /// The message does not tell.
    #[default]
    Unknown,
    /// It had none.
    Empty,
    /// This one.
    Was(Box<str>),
}

impl ListElement {
    /// An element with this text, in the place of whatever the contact had before.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Texts that give way to the new one, the most likely first.
    pub fn giving_way(&self) -> impl Iterator<Item = &str> {
        let previous = match &self.previous {
            Previous::Was(text) => Some(&**text),
            Previous::Unknown | Previous::Empty => None,
        };
        previous.into_iter().chain(self.earlier.iter().map(|text| &**text))
    }
}

/// The address with which a user shall sign in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignIn {
    /// The new address.
    pub address: Box<str>,
    /// The address before, if a pre image tells: it says which of several to change.
    pub previous: Option<Box<str>>,
    /// Addresses before that, the newest first, as far as this replica knows: a look at the user can lag behind, and of
    /// merged changes only the newest is written.
    pub earlier: Box<[Box<str>]>,
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
        Self {
            address: address.into(),
            previous: None,
            earlier: Box::default(),
            from: MovesFrom::Any,
            contact: None,
        }
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
        self.0.iter().find_map(|(property, value)| match value {
            PropertyValue::SignIn(wanted) if !property.is_reset() => Some(&**wanted),
            _ => None,
        })
    }

    /// Under which condition it is written, in words; `None` if under none.
    #[must_use]
    pub fn condition(&self) -> Option<&'static str> {
        const FOLLOWS: &str = "only if the address for password reset is the one that the contact had before, and the \
                               user has the new address already (mapping.reset_email)";
        if self.is_reset() { Some(FOLLOWS) } else { self.moves_from().condition() }
    }

    /// Whether it is the address for password reset and nothing else.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.0.iter().all(|(property, _)| property.is_reset())
    }

    /// The parts that are decided apart, the addresses after the rest: an address that may not be moved, or that somebody
    /// else has, must not keep the rest from being written. With it goes whatever else would be given that address. The
    /// address for password reset comes last, because it takes a call of its own.
    pub fn parted(self) -> impl Iterator<Item = Self> {
        let (reset, own): (Vec<_>, Vec<_>) =
            self.0.into_iter().partition(|(property, _)| property.is_reset());
        let found = own.iter().filter(|(property, _)| property.holds_addresses());
        let given: Vec<Box<str>> = found.filter_map(|(_, value)| value.text().map(Into::into)).collect();
        let is_address = |(property, value): &(Property, PropertyValue)| {
            let given = |text: &str| given.iter().any(|address| address.eq_ignore_ascii_case(text));
            property.holds_addresses() || value.text().is_some_and(given)
        };
        let (addresses, others): (Vec<_>, Vec<_>) = own.into_iter().partition(is_address);
        [others, addresses, reset].into_iter().filter(|part| !part.is_empty()).map(Self)
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

impl UserWrite {
    /// The address for password reset that it sets, which takes a call of its own.
    #[must_use]
    pub fn reset(&self) -> Option<(&PatchEntry, &SignIn)> {
        self.entries.iter().filter(|entry| entry.property.is_reset()).find_map(|entry| match &entry.value {
            PropertyValue::SignIn(wanted) => Some((entry, &**wanted)),
            _ => None,
        })
    }

    /// The same without that address.
    #[must_use]
    pub fn without_reset(&self) -> Self {
        let entries = self.entries.iter().filter(|entry| !entry.property.is_reset()).cloned().collect();
        Self { entries, ..self.clone() }
    }
}
