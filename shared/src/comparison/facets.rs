//! What is kept of a user: for each property that is compared the keyed hashes of its values, and no value.

use crate::{
    hash_key::HashKey,
    identities::Owner,
    patch::PropertyValue,
    property::{Property, PropertyKind},
    reconcile::Current,
};

/// A hash of a value, short enough to be kept for millions of users: that two values of one property share it by chance
/// happens once in 2^64 comparisons.
pub(super) type ValueHash = u64;

/// Bytes of a [`ValueHash`].
const WIDTH: usize = 8;

/// The hashes of a user, property by property: a count of one byte, and then so many hashes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacets(Box<[u8]>);

impl HashKey {
    fn value(&self, kind: &str, value: &[u8]) -> ValueHash {
        u64::from_le_bytes(self.hash::<WIDTH>(kind, value))
    }

    /// An address is the same in every property that holds one, and in capital letters.
    fn address(&self, text: &str) -> ValueHash {
        self.value("address", text.trim().to_lowercase().as_bytes())
    }
}

impl UserFacets {
    /// What is kept of a user, for these properties in their order.
    #[must_use]
    pub fn of(key: &HashKey, properties: &[Property], current: &Current) -> Self {
        let mut bytes = Vec::with_capacity(properties.len() * (WIDTH + 1));
        for property in properties {
            let mut hashes = values(key, property, current);
            hashes.sort_unstable();
            hashes.dedup();
            // Graph takes 250 elements at most.
            hashes.truncate(usize::from(u8::MAX));
            bytes.push(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
            bytes.extend(hashes.iter().flat_map(|hash| hash.to_le_bytes()));
        }
        Self(bytes.into())
    }

    /// Reads what was kept of a user; `None` if these are no hashes of so many properties.
    #[must_use]
    pub fn parse(bytes: &[u8], properties: usize) -> Option<Self> {
        let mut rest = bytes;
        for _ in 0..properties {
            let (count, after) = rest.split_first()?;
            rest = after.get(usize::from(*count) * WIDTH..)?;
        }
        rest.is_empty().then(|| Self(bytes.into()))
    }

    /// Its bytes, to keep them.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The hashes of each property, in order.
    pub(super) fn each(&self) -> Vec<Vec<ValueHash>> {
        let (mut all, mut rest) = (Vec::new(), &*self.0);
        while let Some((count, after)) = rest.split_first() {
            let (own, after) = after.split_at(after.len().min(usize::from(*count) * WIDTH));
            let hashes = own.chunks_exact(WIDTH).map(|chunk| {
                let mut bytes = [0; WIDTH];
                bytes.copy_from_slice(chunk);
                u64::from_le_bytes(bytes)
            });
            all.push(hashes.collect());
            rest = after;
        }
        all
    }
}

/// The values of a property. What Graph does not show is empty: extension attributes without a value are left out.
fn values(key: &HashKey, property: &Property, current: &Current) -> Vec<ValueHash> {
    if property.rules().kind == PropertyKind::SignIn {
        return sign_ins(key, current);
    }
    let text = |text: &str| {
        if property.holds_addresses() {
            key.address(text)
        } else {
            key.value(property.name(), text.as_bytes())
        }
    };
    match current.shown(property) {
        Some(PropertyValue::Text(value)) if !value.is_empty() => vec![text(value)],
        Some(PropertyValue::List(list)) => list.iter().map(|element| text(element)).collect(),
        Some(PropertyValue::Bool(yes)) => vec![key.value(property.name(), &[u8::from(*yes)])],
        Some(PropertyValue::Integer(number)) => vec![key.value(property.name(), &number.to_le_bytes())],
        // The others are what is asked for, and never what is shown.
        _ => Vec::new(),
    }
}

/// The addresses with which the user signs in and that a contact could move.
fn sign_ins(key: &HashKey, current: &Current) -> Vec<ValueHash> {
    let owner = Owner { principal_name: current.principal_name.as_deref(), is_guest: current.is_guest() };
    let own = current.person.identities.iter().flatten();
    own.filter(|identity| owner.signs_in_by(identity))
        .map(|identity| key.address(&identity.issuer_assigned_id))
        .collect()
}
