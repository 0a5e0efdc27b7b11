//! Which of two changes of one contact is the newer one.
//!
//! A message may carry two clues. The **row version** is exact, but is there only if the administrator
//! registered `versionnumber` in an image or the caller used optimistic concurrency. It counts within one
//! organization and one life of its database: another environment has numbers of its own, and after a restore
//! they start lower. The **time** at which Dataverse recorded the event (`OperationCreatedOn`, else `modifiedon`)
//! is always there, but two updates within its resolution are indistinguishable. So row versions of one
//! organization decide between changes of about the same time, and the time decides everything else.
//! [`Version::is_newer_than`] is for two versions, the per-attribute register is what makes a lawful merge of
//! any number of them.

use jiff::{SignedDuration, Timestamp};

use crate::ids::OrganizationId;

/// Changes further apart than this are ordered by their times, whatever their row versions say. Row order and time
/// order of one database differ by the length of a transaction, of which Dataverse allows minutes; a restore takes
/// longer than that.
pub const APART: SignedDuration = SignedDuration::from_mins(15);

/// An organization, short enough to be kept with each version: a hash of its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(u16);

impl Realm {
    /// Of a message that names no organization, and of marks that were written before organizations were kept.
    pub const UNKNOWN: Self = Self(0);
    /// How many there are: three digits in base 36.
    pub(crate) const COUNT: u16 = 36 * 36 * 36;

    /// The realm of an organization. Stored in marks, so it must never change: FNV-1a.
    #[must_use]
    pub fn of(organization: OrganizationId) -> Self {
        let hash = fnv1a(organization.0.as_bytes());
        // The remainder is below 46,655, so it fits and leaves zero to the unknown.
        Self(u16::try_from(hash % u64::from(Self::COUNT - 1)).unwrap_or_default() + 1)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The realm with this number.
    #[must_use]
    pub(crate) fn numbered(number: u16) -> Self {
        Self(number)
    }
}

/// FNV-1a, by hand because its results are stored with users and must never change.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A row version and where it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowVersion {
    /// The number; higher is newer.
    pub number: u64,
    /// Whose numbers it belongs to.
    pub realm: Realm,
}

/// Where a change stands among the changes of its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Row version after the change, if the message carries it.
    pub row: Option<RowVersion>,
    /// When Dataverse recorded the change, in UTC.
    pub at: Timestamp,
}

impl Version {
    /// A version known by its time alone.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { row: None, at }
    }

    /// Whether this change came after the other one.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        match (self.row, other.row) {
            (Some(mine), Some(theirs)) if mine.realm == theirs.realm && !self.is_apart_from(other) => {
                (mine.number, self.at) > (theirs.number, other.at)
            }
            _ => self.at > other.at,
        }
    }

    /// Whether the row versions of one organization went back from the other change to this one: its database was
    /// restored, or is a copy of an older one.
    #[must_use]
    pub fn went_back_from(&self, other: &Self) -> bool {
        let lower = matches!((self.row, other.row), (Some(mine), Some(theirs))
            if mine.realm == theirs.realm && mine.number < theirs.number);
        lower && self.at > other.at && self.is_apart_from(other)
    }

    /// The same version, its time not after `latest`. Nothing that happened is believed to lie in the future.
    #[must_use]
    pub fn cut(self, latest: Timestamp) -> Self {
        Self { at: self.at.min(latest), ..self }
    }

    /// A version that neither of the two is newer than, if their row versions are of one organization.
    #[must_use]
    pub(crate) fn raised_to(&self, other: &Self) -> Self {
        let row = match (self.row, other.row) {
            (Some(mine), Some(theirs)) if mine.realm == theirs.realm && theirs.number > mine.number => {
                other.row
            }
            _ => self.row,
        };
        Self { row, at: self.at.max(other.at) }
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        self.at.duration_since(other.at).abs() > APART
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn version(row: Option<(u64, u128)>, minute: i64) -> Version {
        let row = row.map(|(number, organization)| RowVersion {
            number,
            realm: Realm::of(OrganizationId(Uuid::from_u128(organization))),
        });
        Version { row, at: Timestamp::from_second(minute * 60).expect("small") }
    }

    #[test]
    fn row_versions_count_within_one_organization_and_one_life_of_its_database() {
        for (older, newer, back) in [
            // By row, although the clock says otherwise by minutes.
            (version(Some((7, 1)), 3), version(Some((8, 1)), 0), false),
            (version(Some((7, 1)), 0), version(Some((7, 1)), 1), false),
            // A restore: hours later the numbers are lower.
            (version(Some((9_000, 1)), 0), version(Some((8, 1)), 120), true),
            (version(Some((9_000, 1)), 0), version(Some((8, 1)), 16), true),
            // Another organization has numbers of its own.
            (version(Some((9_000, 1)), 0), version(Some((8, 2)), 1), false),
            // One of them has no row version.
            (version(Some((9_000, 1)), 0), version(None, 1), false),
            (version(None, 0), version(Some((1, 1)), 1), false),
        ] {
            assert!(newer.is_newer_than(&older) && !older.is_newer_than(&newer), "{older:?} {newer:?}");
            assert_eq!(newer.went_back_from(&older), back, "{older:?} {newer:?}");
            assert!(!older.went_back_from(&newer));
        }
    }

    #[test]
    fn a_time_is_cut_and_never_moved_forward() {
        let latest = Timestamp::from_second(600).expect("small");
        assert_eq!(version(Some((1, 1)), 9_999).cut(latest), version(Some((1, 1)), 10));
        assert_eq!(version(None, 5).cut(latest), version(None, 5));
    }

    #[test]
    fn the_realm_of_an_organization_never_changes() {
        let realm = |text: &str| Realm::of(OrganizationId(Uuid::try_parse(text).expect("a GUID"))).number();
        assert_eq!(realm("0d4c6f2e-1111-4aaa-8bbb-000000000001"), REALM_OF_THE_FIRST);
        assert!((0..10_000).all(|n| Realm::of(OrganizationId(Uuid::from_u128(n))) != Realm::UNKNOWN));
    }

    /// Marks hold it, so this figure is a contract.
    const REALM_OF_THE_FIRST: u16 = 12_981;
}
