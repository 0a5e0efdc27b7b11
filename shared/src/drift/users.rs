//! All users of the directory, by hashes of the mapped values: enough to tell which cannot differ from their contacts.

use std::collections::HashMap;

use super::hashes::ValueHash;
use crate::{
    admission::Terms,
    hash_key::HashKey,
    identities::Owner,
    ids::{ContactId, IdState, UserId},
    mapping::Mapping,
    patch::{ListElement, Previous, PropertyValue, UserPatch},
    property::{Property, PropertyKind},
    reconcile::{Current, ReadPolicy},
};

/// A value that was not shown.
const ABSENT: u64 = 0;
/// A list without elements, or nobody's contact.
const NONE: u64 = 1;
/// More than one element: they are kept apart.
const SEVERAL: u64 = 2;
/// Nothing of this user is believed without a look.
const LOOK: u64 = 3;

/// Hashes of the mapped values of every user: 24 bytes a user, and 8 for each property.
pub struct UserTable {
    key: HashKey,
    properties: Vec<Property>,
    terms: Terms,
    /// Sorted by id once all are in.
    ids: Vec<(UserId, u32)>,
    sorted: bool,
    /// For each user the owner, then a number for each property.
    values: Vec<u64>,
    /// Elements of lists of more than one, by their place among the values.
    several: HashMap<usize, Box<[u64]>, IdState>,
}

impl UserTable {
    /// An empty table for what this mapping writes, under what the users must be.
    #[must_use]
    pub fn new(key: HashKey, mapping: &Mapping, reading: &ReadPolicy) -> Self {
        let properties = mapping
            .rows()
            .iter()
            .filter(|row| !row.property.is_reset())
            .map(|row| row.property.clone())
            .collect();
        let terms = reading.terms.clone();
        Self {
            key,
            properties,
            terms,
            ids: Vec::new(),
            sorted: true,
            values: Vec::new(),
            several: HashMap::default(),
        }
    }

    /// The properties that have to be read of each user.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// How many users there are. A user who was shown twice counts twice until all are in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Takes a user in, as he is shown now.
    pub fn insert(&mut self, user: UserId, current: &Current) {
        let Ok(place) = u32::try_from(self.ids.len()) else { return };
        self.ids.push((user, place));
        self.sorted = false;
        self.values.push(self.owner(current));
        for index in 0..self.properties.len() {
            let hashes = self.shown(&self.properties[index], current);
            let number = match hashes.as_deref() {
                None => ABSENT,
                Some([]) => NONE,
                Some([one]) => *one,
                Some(several) => {
                    self.several.insert(self.values.len(), several.into());
                    SEVERAL
                }
            };
            self.values.push(number);
        }
    }

    /// Ends the reading. Of a user who was shown on two pages, the later one counts.
    pub fn seal(&mut self) {
        self.ids.sort_unstable_by_key(|(user, place)| (*user, std::cmp::Reverse(*place)));
        self.ids.dedup_by_key(|(user, _)| *user);
        self.sorted = true;
    }

    /// Where a user stands in the order of ids; `None` if he is not in the directory. Of a sealed table.
    #[must_use]
    pub fn find(&self, user: UserId) -> Option<usize> {
        debug_assert!(self.sorted, "the table is sealed before it is asked");
        self.ids.binary_search_by_key(&user, |(known, _)| *known).ok()
    }

    /// Whether it is certain that nothing of this patch is left to write to the user found there. What is not certain is
    /// looked at.
    #[must_use]
    pub fn has(&self, found: usize, patch: &UserPatch, contact: ContactId) -> bool {
        let start = self.ids[found].1 as usize * (self.properties.len() + 1);
        let owner = self.values[start];
        let is_owned = owner == NONE || owner == ValueHash::whatever_case(&self.key, &contact.to_string()).0;
        is_owned
            && patch.iter().all(|(property, value)| {
                let place = self.properties.iter().position(|known| known == property);
                place.is_some_and(|index| self.is_so(start + 1 + index, property, value))
            })
    }

    fn is_so(&self, place: usize, property: &Property, value: &PropertyValue) -> bool {
        let shown = self.values[place];
        let among = |hash: ValueHash| match shown {
            SEVERAL => self.several.get(&place).is_some_and(|several| several.contains(&hash.0)),
            one => one == hash.0,
        };
        match (value, property.rules().kind) {
            (PropertyValue::SignIn(wanted), _) => {
                // Who has no address to sign in with gets none.
                shown == NONE || among(ValueHash::whatever_case(&self.key, &wanted.address))
            }
            (PropertyValue::Element(wanted), PropertyKind::List { most, .. }) => {
                is_alone(wanted)
                    && match &wanted.text {
                        None => shown == NONE,
                        Some(text) if most == 1 => shown == ValueHash::exactly(&self.key, text).0,
                        Some(text) => among(ValueHash::whatever_case(&self.key, text)),
                    }
            }
            (_, PropertyKind::List { .. }) => false,
            (value, _) => shown == ValueHash::of(&self.key, value).0,
        }
    }

    /// Who owns the user, if anybody does.
    fn owner(&self, current: &Current) -> u64 {
        // Without a contact, only kind and issuer of the user are judged.
        if self.terms.admit(&[], &current.person).is_err() {
            return LOOK;
        }
        let owner = self.terms.owner.as_ref().and(current.person.owner.as_deref()).map_or("", str::trim);
        if owner.is_empty() { NONE } else { ValueHash::whatever_case(&self.key, owner).0 }
    }

    /// Hashes of what is shown of a property: of its elements, or of its value; `None` if it is not shown.
    fn shown(&self, property: &Property, current: &Current) -> Option<Vec<u64>> {
        let PropertyKind::List { most, .. } = property.rules().kind else {
            return match property.rules().kind {
                PropertyKind::SignIn => self.addresses(current),
                _ => current.shown(property).map(|value| vec![ValueHash::of(&self.key, value).0]),
            };
        };
        let hash = |text: &str| {
            if most == 1 {
                ValueHash::exactly(&self.key, text)
            } else {
                ValueHash::whatever_case(&self.key, text)
            }
        };
        match current.shown(property)? {
            PropertyValue::List(list) => Some(list.iter().map(|text| hash(text).0).collect()),
            PropertyValue::Clear => Some(Vec::new()),
            _ => None,
        }
    }

    fn addresses(&self, current: &Current) -> Option<Vec<u64>> {
        let owner = Owner { principal_name: current.principal_name.as_deref(), is_guest: current.is_guest() };
        let identities = current.person.identities.as_deref()?;
        let emails: Vec<_> = identities.iter().filter(|identity| owner.signs_in_by(identity)).collect();
        // One without issuer or address is not understood, so the user is looked at.
        if emails.iter().any(|email| email.issuer.is_empty() || email.issuer_assigned_id.is_empty()) {
            return None;
        }
        Some(
            emails
                .iter()
                .map(|email| ValueHash::whatever_case(&self.key, &email.issuer_assigned_id).0)
                .collect(),
        )
    }
}

/// Whether nothing gives way to it.
fn is_alone(wanted: &ListElement) -> bool {
    !matches!(wanted.previous, Previous::Was(_)) && wanted.earlier.is_empty()
}
