//! The mark: which version of each property was written last, kept with the user in one extension attribute.
//!
//! It is what lets a replica know what another one, or an earlier run, has written. A mark read from Graph can
//! lag behind by seconds, so it is only ever too old, and not writing because of it is always right.
//!
//! The form is `cs1|T[.R]:KKKK…|T[.R]:KKKK…`: groups of properties that share a version, newest first. `T` is
//! the time in milliseconds since 1970 and `R` the row version, both in base 36; each `KKKK` is one property,
//! by the first four letters of a hash of its name in base 36. The organization to whose database `R` belongs stands
//! before the properties as `Oooo`, a hash of its id behind a capital letter, so that readers who do not know of it
//! take it for one more property. Whatever stands before `cs1|` belongs to somebody else and is kept.

mod access;

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;

pub use self::access::hash_of;
use crate::{
    property::Property,
    utf16,
    version::{Realm, RowVersion, Version, fnv1a},
};

/// How a mark begins.
pub const LEAD: &str = "cs1|";
const KEY: usize = 4;
/// Most places of a text in which a mark may begin.
const MOST_LEADS: usize = 16;
/// Before the hash of an organization; hashes of properties are in small letters.
const ORGANIZATION: char = 'O';

/// The versions of a user's properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Text of somebody else, kept as it is.
    foreign: String,
    versions: BTreeMap<String, Version>,
}

impl Mark {
    /// Reads the attribute. Text that is not ours, or damaged, counts as somebody else's.
    #[must_use]
    pub fn read(text: &str) -> Self {
        // The first that is followed by nothing but groups: a hash at the end of a group can look like another lead.
        // Nobody's text has many leads, and each try goes through all that follows.
        let leads = text.match_indices(LEAD).take(MOST_LEADS);
        let mut marks = leads.map(|(at, _)| (&text[..at], groups(&text[at + LEAD.len()..])));
        let mark = marks.find_map(|(foreign, versions)| Some((foreign, versions?)));
        let (foreign, versions) = mark.unwrap_or((text, BTreeMap::new()));
        Self { foreign: foreign.to_owned(), versions }
    }

    /// Whether a newer version than this one has been written to the property.
    #[must_use]
    pub fn is_newer(&self, property: &Property, version: &Version) -> bool {
        self.versions.get(&key(property)).is_some_and(|written| written.is_newer_than(version))
    }

    /// Whether this version, or a newer one, is noted.
    #[must_use]
    pub fn covers(&self, property: &Property, version: &Version) -> bool {
        // A mark keeps milliseconds; what it cuts off must not look like an older version.
        let cut = |at: Timestamp| at.as_millisecond();
        self.versions.get(&key(property)).is_some_and(|written| {
            !version.is_newer_than(written)
                || (version.row == written.row && cut(version.at) == cut(written.at))
        })
    }

    /// Whether the row versions of the organization went back since the property was written last.
    #[must_use]
    pub fn went_back(&self, property: &Property, version: &Version) -> bool {
        self.versions.get(&key(property)).is_some_and(|written| version.went_back_from(written))
    }

    /// Notes that this version was written.
    pub fn note(&mut self, property: &Property, version: Version) {
        let slot = self.versions.entry(key(property)).or_insert(version);
        if version.is_newer_than(slot) {
            *slot = version;
        }
    }

    /// The attribute's text, of at most `max` UTF-16 units. The oldest versions go first when it does not fit;
    /// what is forgotten is not guarded any more, but nothing wrong is remembered. `None` if even the newest
    /// does not fit beside the text of somebody else.
    #[must_use]
    pub fn write(&self, max: usize) -> Option<String> {
        let mut groups: BTreeMap<(Timestamp, Option<RowVersion>), String> = BTreeMap::new();
        for (key, version) in &self.versions {
            groups.entry((version.at, version.row)).or_default().push_str(key);
        }
        let mut text = format!("{}{LEAD}", self.foreign);
        let mut length = utf16::length(&text);
        let mut written = 0;
        for ((at, row), keys) in groups.iter().rev() {
            let mut group = if written > 0 { "|".to_owned() } else { String::new() };
            group.push_str(&base36(u64::try_from(at.as_millisecond()).unwrap_or(0)));
            if let Some(row) = row {
                // Writing to a string cannot fail.
                let _infallible = write!(group, ".{}", base36(row.number));
            }
            let _infallible = write!(group, ":{}{keys}", organization(*row));
            if length + group.len() > max {
                break;
            }
            length += group.len();
            text.push_str(&group);
            written += 1;
        }
        (written > 0).then_some(text)
    }
}

fn groups(text: &str) -> Option<BTreeMap<String, Version>> {
    let mut versions = BTreeMap::new();
    for group in text.split('|') {
        let (version, keys) = group.split_once(':')?;
        // A sign would be read as part of a number, and no mark of ours has one.
        if !version.bytes().all(|b| b == b'.' || b.is_ascii_alphanumeric()) {
            return None;
        }
        let (at, row) = match version.split_once('.') {
            Some((at, row)) => (at, Some(u64::from_str_radix(row, 36).ok()?)),
            None => (version, None),
        };
        let at = Timestamp::from_millisecond(i64::from_str_radix(at, 36).ok()?).ok()?;
        if keys.is_empty() || keys.len() % KEY != 0 || !keys.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let keys = (0..keys.len()).step_by(KEY).map(|start| &keys[start..start + KEY]);
        // Wherever it stands: readers who take it for a property write it back among them, in their order.
        let (organizations, properties): (Vec<_>, Vec<_>) =
            keys.partition(|key| key.starts_with(ORGANIZATION));
        let realm = organizations.last().map_or(Some(Realm::UNKNOWN), |key| realm(key))?;
        let row = row.map(|number| RowVersion { number, realm });
        versions.extend(properties.into_iter().map(|key| (key.to_owned(), Version { row, at })));
    }
    Some(versions)
}

/// The key of an organization; none for times alone and where it is not known.
fn organization(row: Option<RowVersion>) -> String {
    match row {
        Some(row) if row.realm != Realm::UNKNOWN => {
            format!("{ORGANIZATION}{:0>3}", base36(u64::from(row.realm.number())))
        }
        _ => String::new(),
    }
}

/// The organization of a key.
fn realm(key: &str) -> Option<Realm> {
    u16::from_str_radix(&key[1..], 36).ok().map(Realm::numbered)
}

fn key(property: &Property) -> String {
    let hash = fnv1a(property.name().as_bytes());
    let text = base36(hash % 36_u64.pow(4));
    format!("{text:0>KEY$}")
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn property(name: &str) -> Property {
        Property::named(name).expect("known")
    }

    fn version(millis: i64, row: Option<u64>) -> Version {
        let row = row.map(|number| RowVersion { number, realm: Realm::numbered(77) });
        Version { row, at: Timestamp::from_millisecond(millis).expect("in range") }
    }

    const NOW: i64 = 1_772_438_400_000;

    #[test]
    fn a_mark_is_short_and_can_be_read_back() {
        let mut mark = Mark::default();
        for name in ["mail", "givenName", "surname"] {
            mark.note(&property(name), version(NOW, Some(5_948_260)));
        }
        mark.note(&property("jobTitle"), version(NOW + 1, None));
        let text = mark.write(1024).expect("fits");
        assert!(text.len() < 64, "{text}");
        assert_eq!(Mark::read(&text), mark);
    }

    #[test]
    fn a_mark_knows_to_which_organization_its_row_versions_belong() {
        let mail = property("mail");
        let other = |millis, number| Version {
            row: Some(RowVersion { number, realm: Realm::numbered(78) }),
            ..version(millis, None)
        };
        let mut mark = Mark::default();
        mark.note(&mail, version(NOW, Some(900)));
        let text = mark.write(1024).expect("fits");
        assert!(text.contains(":O025"), "{text}");
        let mark = Mark::read(&text);
        assert!(mark.is_newer(&mail, &version(NOW + 1, Some(899))));
        assert!(!mark.is_newer(&mail, &other(NOW + 1, 1)), "another organization");
        let hours = 2 * 3_600_000;
        assert!(!mark.is_newer(&mail, &version(NOW + hours, Some(5))), "its database was restored");
        assert!(mark.went_back(&mail, &version(NOW + hours, Some(5))));
    }

    #[test]
    fn a_number_with_a_sign_is_not_ours() {
        // Read as a time before 1970, it would be written as another one.
        for text in ["cs1|-1:abcd", "cs1|+1:abcd", "cs1|1.-1:abcd", "cs1|1.+1:abcd"] {
            assert!(!Mark::read(text).covers(&property("mail"), &version(0, None)));
            assert_eq!(Mark::read(text), Mark { foreign: text.into(), ..Mark::default() });
        }
    }

    #[test]
    fn a_hash_that_looks_like_a_lead_is_read_as_a_hash() {
        for foreign in ["", "loyalty=gold;"] {
            let versions =
                [("acs1", version(NOW, None)), ("bcs1", version(NOW - 1, None)), ("abcd", version(1, None))];
            let versions = versions.map(|(key, version)| (key.to_owned(), version)).into();
            let mark = Mark { foreign: foreign.into(), versions };
            let text = mark.write(1024).expect("fits");
            assert!(text.matches(LEAD).count() == 3, "{text}");
            assert_eq!(Mark::read(&text), mark);
        }
    }

    #[test]
    fn the_organization_is_found_wherever_it_stands() {
        let key = key(&property("mail"));
        for text in [
            format!("cs1|z.z:O025{key}0abc"),
            format!("cs1|z.z:0abcO025{key}"),
            format!("cs1|z.z:{key}0abcO025"),
        ] {
            let mark = Mark::read(&text);
            assert_eq!(
                mark.versions[&key].row,
                Some(RowVersion { number: 35, realm: Realm::numbered(77) }),
                "{text}"
            );
            assert_eq!(mark.versions.len(), 2, "{text}");
        }
    }

    #[test]
    fn a_row_version_of_a_mark_without_organization_is_not_believed() {
        let mail = property("mail");
        let mut old = Mark::default();
        let row = Some(RowVersion { number: 900, realm: Realm::UNKNOWN });
        old.note(&mail, Version { row, ..version(NOW, None) });
        let text = old.write(1024).expect("fits");
        assert!(!text.contains('O'), "{text}");
        assert!(!Mark::read(&text).is_newer(&mail, &version(NOW + 1, Some(5))));
        assert!(Mark::read(&text).is_newer(&mail, &version(NOW - 1, Some(999))));
    }

    #[test]
    fn every_property_of_the_catalogue_has_a_key_of_its_own() {
        let mut keys: Vec<_> = Property::names().map(|name| key(&property(name))).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), Property::names().count());
    }

    #[test]
    fn only_a_newer_version_counts_and_stays() {
        let mut mark = Mark::default();
        mark.note(&property("mail"), version(NOW, None));
        assert!(mark.is_newer(&property("mail"), &version(NOW - 1, None)));
        assert!(
            !mark.is_newer(&property("mail"), &version(NOW, None)),
            "the same change may be applied again"
        );
        assert!(!mark.is_newer(&property("surname"), &version(0, None)));
        mark.note(&property("mail"), version(NOW - 5, None));
        assert!(mark.is_newer(&property("mail"), &version(NOW - 1, None)));
    }

    #[test]
    fn text_of_somebody_else_is_kept_and_says_nothing() {
        for foreign in ["", "loyalty=gold;", "cs1|nonsense", "cs1|", "ünïcode cs2|a:bbbb"] {
            let mut mark = Mark::read(foreign);
            assert!(!mark.is_newer(&property("mail"), &version(0, None)));
            mark.note(&property("mail"), version(NOW, None));
            let text = mark.write(1024).expect("fits");
            assert!(text.starts_with(foreign), "{text}");
            assert!(Mark::read(&text).is_newer(&property("mail"), &version(NOW - 1, None)), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_forgotten_oldest_first() {
        let mut mark = Mark::default();
        for (age, name) in Property::names().enumerate() {
            mark.note(&property(name), version(NOW - i64::try_from(age).expect("small"), None));
        }
        let text = mark.write(100).expect("fits");
        assert!(text.len() <= 100);
        let newest = Property::names().next().expect("some");
        assert!(Mark::read(&text).is_newer(&property(newest), &version(NOW - 1, None)));
        assert_eq!(Mark::read(&"x".repeat(98)).write(100), None);
        let emoji = "\u{1f600}".repeat(40);
        let beside =
            |max| Mark { foreign: emoji.clone(), ..mark.clone() }.write(max).map(|text| utf16::length(&text));
        assert!(
            beside(100).is_some_and(|length| length <= 100),
            "text of somebody else counts in UTF-16 units"
        );
        assert_eq!(beside(84), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in ".{0,80}") {
            let _read = Mark::read(&text);
            let _read = Mark::read(&format!("cs1|{text}"));
        }
    }
}
