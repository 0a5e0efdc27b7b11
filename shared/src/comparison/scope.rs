//! Which properties of two mappings can be held against each other, and when they agree.
//!
//! Two mappings write different properties of the same columns: the address of a contact goes to `otherMails` in one
//! directory and to `mail` in the other. They agree if the same contact, applied to both, would have left them so.

use super::{
    facets::{UserFacets, ValueHash},
    side::Side,
};
use crate::{
    mapping::{Mapping, MappingRow},
    property::{Property, PropertyKind},
};

/// What is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparisonScope {
    /// What is told of a user that differs: one of these.
    pub compared: Vec<ComparedProperty>,
    /// What is read of users of each directory.
    pub read: [Vec<Property>; 2],
    /// Properties of each mapping that have nothing in the other one to be compared with.
    pub left: [Vec<Property>; 2],
}

/// A property that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedProperty {
    /// The property.
    pub property: Property,
    /// How.
    against: Against,
    /// Places of other addresses of the same source among what is read, in each directory.
    addresses: [Vec<usize>; 2],
}

/// With what a property is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// The same property of the other directory; its places among what is read in each.
    Itself([usize; 2]),
    /// The other directory has no such property, but other ones with the same address.
    Addresses(Side, usize),
}

impl ComparisonScope {
    /// What can be compared between two mappings.
    #[must_use]
    pub fn of(one: &Mapping, other: &Mapping) -> Self {
        let mappings = [one, other];
        let rows = |side: Side| mappings[side.index()].rows().iter().filter(|row| !row.property.is_reset());
        let has_partner = |side: Side, row: &MappingRow| {
            rows(side.other()).any(|theirs| is_same(row, theirs) || is_same_address(row, theirs))
        };
        let parted = Side::BOTH.map(|side| {
            let (read, left): (Vec<_>, Vec<_>) = rows(side).partition(|row| has_partner(side, row));
            [read, left]
        });
        let [read, left] = [0, 1].map(|part| {
            Side::BOTH.map(|side| -> Vec<Property> {
                parted[side.index()][part].iter().map(|row| row.property.clone()).collect()
            })
        });
        let compared = Side::BOTH.into_iter().flat_map(|side| {
            let kept = &parted;
            kept[side.index()][0].iter().enumerate().filter_map(move |(place, row)| {
                let same = kept[side.other().index()][0].iter().position(|theirs| is_same(row, theirs));
                let against = match (same, side) {
                    (Some(same), Side::First) => Against::Itself([place, same]),
                    // It is there already.
                    (Some(_), Side::Second) => return None,
                    (None, side) => Against::Addresses(side, place),
                };
                let addresses = Side::BOTH.map(|at| {
                    let of = &kept[at.index()][0];
                    of.iter()
                        .enumerate()
                        .filter(|(_, other)| is_same_address(row, other))
                        .map(|(at, _)| at)
                        .collect()
                });
                Some(ComparedProperty { property: row.property.clone(), against, addresses })
            })
        });
        Self { compared: compared.collect(), read, left }
    }

    /// The places in `compared` of what two users of one contact do not agree in.
    #[must_use]
    pub fn differing(&self, one: &UserFacets, other: &UserFacets) -> Vec<u8> {
        let users = [one.each(), other.each()];
        let found = self
            .compared
            .iter()
            .enumerate()
            .filter(|(_, compared)| !compared.agrees(&Facts { users: &users, read: &self.read }));
        found.filter_map(|(place, _)| u8::try_from(place).ok()).collect()
    }
}

/// Whether two rows write the same to one property.
fn is_same(one: &MappingRow, other: &MappingRow) -> bool {
    let alike = one.property == other.property && one.source == other.source && one.choices == other.choices;
    // Conversions of an address change nothing that counts.
    alike
        && one.extension_type == other.extension_type
        && (one.convert == other.convert || one.property.holds_addresses())
}

/// Whether two rows write the same address.
fn is_same_address(one: &MappingRow, other: &MappingRow) -> bool {
    let addresses = one.property.holds_addresses() && other.property.holds_addresses();
    addresses && one.source == other.source && one.choices == other.choices
}

/// Two users of one contact.
struct Facts<'f> {
    users: &'f [Vec<Vec<ValueHash>>; 2],
    read: &'f [Vec<Property>; 2],
}

impl Facts<'_> {
    fn hashes(&self, side: Side, place: usize) -> &[ValueHash] {
        self.users[side.index()].get(place).map_or(&[], |hashes| hashes)
    }

    fn kind(&self, side: Side, place: usize) -> Option<PropertyKind> {
        self.read[side.index()].get(place).map(|property| property.rules().kind)
    }

    /// The address that the contact must have by these properties: by `mail`, or by the one with which the user signs in.
    fn certain(&self, side: Side, places: &[usize]) -> Vec<ValueHash> {
        let scalars = places.iter().filter(|place| {
            matches!(self.kind(side, **place), Some(PropertyKind::SignIn | PropertyKind::Address { .. }))
        });
        let mut found: Vec<_> = scalars
            .filter_map(|place| <[ValueHash; 1]>::try_from(self.hashes(side, *place)).ok())
            .map(|[one]| one)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The elements of lists among these properties.
    fn listed(&self, side: Side, places: &[usize]) -> Vec<ValueHash> {
        let lists =
            places.iter().filter(|place| matches!(self.kind(side, **place), Some(PropertyKind::List { .. })));
        lists.flat_map(|place| self.hashes(side, *place)).copied().collect()
    }
}

impl ComparedProperty {
    fn agrees(&self, facts: &Facts<'_>) -> bool {
        match self.against {
            Against::Itself([one, other]) => self.agrees_with_itself(
                facts,
                facts.hashes(Side::First, one),
                facts.hashes(Side::Second, other),
            ),
            Against::Addresses(side, place) => {
                self.agrees_with_addresses(facts, side, facts.hashes(side, place))
            }
        }
    }

    fn agrees_with_itself(&self, facts: &Facts<'_>, one: &[ValueHash], other: &[ValueHash]) -> bool {
        match self.property.rules().kind {
            // Who has no address to sign in with is given none.
            PropertyKind::SignIn => one.is_empty() || other.is_empty() || meet(one, other),
            PropertyKind::List { most: 2.., .. } => {
                let certain = Side::BOTH.map(|side| facts.certain(side, &self.addresses[side.index()]));
                let mut known = certain.concat();
                known.sort_unstable();
                known.dedup();
                match known[..] {
                    // One element is the contact's; the others are nobody's business.
                    [contact] => one.contains(&contact) == other.contains(&contact),
                    _ => one.is_empty() && other.is_empty() || meet(one, other),
                }
            }
            _ => one == other,
        }
    }

    /// A property that the other directory has no like of: it must hold the address that the contact has by that directory.
    fn agrees_with_addresses(&self, facts: &Facts<'_>, side: Side, own: &[ValueHash]) -> bool {
        let there = side.other();
        let places = &self.addresses[there.index()];
        let (certain, listed) = (facts.certain(there, places), facts.listed(there, places));
        let cannot_sign_in = own.is_empty() && self.property.rules().kind == PropertyKind::SignIn;
        if cannot_sign_in {
            true
        } else if !certain.is_empty() {
            meet(own, &certain)
        } else {
            // Of a list nobody knows which element is the contact's, so that an empty property contradicts none.
            own.is_empty() || listed.is_empty() || meet(own, &listed)
        }
    }
}

fn meet(one: &[ValueHash], other: &[ValueHash]) -> bool {
    one.iter().any(|hash| other.contains(hash))
}
