//! A last-writer-wins register: the newest of any number of values, in whatever order they come.
//!
//! Merging must be commutative, associative and idempotent, or duplicates and reordering would change the
//! result. A plain comparison of [`Version`]s is not: with A (row 5, 10:01), B (no row, 10:02) and C (row 4,
//! 10:03), A beats C by row, C beats B by time and B beats A by time. So the register keeps every value that may yet
//! turn out to be the newest, drops what no later value can bring back, and chooses when it is read. What is dropped
//! depends on the set of values alone: one that another beats in row and in time, or that lies
//! [further back](crate::version::APART) than row versions count.

use jiff::Timestamp;

use crate::{
    ids::SequenceNumber,
    version::{APART, RowVersion, Version},
};

/// When a value was set, with a last resort for two changes that Dataverse gave the same version: the
/// order in which they reached the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Version of the change.
    pub version: Version,
    /// Sequence number of the message that carried it.
    pub arrival: SequenceNumber,
}

impl Stamp {
    /// Order in which changes of one user are applied when they have to be applied one by one. Total. The register
    /// has the last word, so an order that differs from its own costs a write and nothing else.
    #[must_use]
    pub fn order(&self) -> (Option<u64>, Timestamp, SequenceNumber) {
        (self.version.row.map(|row| row.number), self.version.at, self.arrival)
    }

    /// Whether nothing that is still to come can make the other stamp count beside this one.
    fn is_after(&self, other: &Self) -> bool {
        let by_row = match (self.version.row, other.version.row) {
            (_, None) => true,
            (Some(mine), Some(theirs)) => {
                mine.realm == theirs.realm && self.by_row(mine) > other.by_row(theirs)
            }
            (None, Some(_)) => false,
        };
        by_row && self.by_time() > other.by_time()
    }

    fn by_row(&self, row: RowVersion) -> (u64, Timestamp, SequenceNumber) {
        (row.number, self.version.at, self.arrival)
    }

    fn by_time(&self) -> (Timestamp, SequenceNumber) {
        (self.version.at, self.arrival)
    }
}

/// The newest value seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LwwRegister<T> {
    /// What [`LwwRegister::newest`] says.
    newest: Option<(Stamp, T)>,
    /// What a value to come may yet show to be the newest; nearly always empty. In the order of time.
    others: Vec<(Stamp, T)>,
}

impl<T> Default for LwwRegister<T> {
    fn default() -> Self {
        Self { newest: None, others: Vec::new() }
    }
}

impl<T: Ord> LwwRegister<T> {
    /// Takes a value in.
    ///
    /// Two different values under one stamp cannot come from a queue; the greater one wins, so that even
    /// then the result does not depend on the order.
    pub fn set(&mut self, stamp: Stamp, value: T) {
        // As nearly always: there is nothing yet, or the new value is newer in every respect.
        let replaces = self.newest.as_ref().is_none_or(|(known, _)| stamp.is_after(known));
        if replaces && self.others.is_empty() {
            self.newest = Some((stamp, value));
            return;
        }
        let mut all = std::mem::take(&mut self.others);
        all.extend(self.newest.take());
        all.push((stamp, value));
        self.settle(all);
    }

    /// Takes everything from another register in.
    pub fn merge(&mut self, other: Self) {
        let mut all = std::mem::take(&mut self.others);
        all.extend(self.newest.take());
        all.extend(other.newest);
        all.extend(other.others);
        self.settle(all);
    }

    /// The newest value with its stamp.
    #[must_use]
    pub fn newest(&self) -> Option<(&Stamp, &T)> {
        self.newest.as_ref().map(|(stamp, value)| (stamp, value))
    }

    /// Keeps of these values what counts, and chooses the newest.
    fn settle(&mut self, mut all: Vec<(Stamp, T)>) {
        all.sort_by(|a, b| {
            let key = |(stamp, _): &(Stamp, T)| (stamp.by_time(), stamp.version.row);
            (key(a), &a.1).cmp(&(key(b), &b.1))
        });
        all.dedup();
        let Some((last, _)) = all.last() else { return };
        let (latest, realm) = (last.version.at, last.version.row.map(|row| row.realm));
        let mut kept: Vec<(Stamp, T)> = Vec::with_capacity(1);
        while let Some(next) = all.pop() {
            if kept.is_empty() || may_count(&next, &kept, latest) {
                kept.push(next);
            }
        }
        kept.reverse();
        // Of the realm of the latest, the highest row; the latest itself if it has no row.
        let chosen = kept
            .iter()
            .enumerate()
            .filter_map(|(place, (stamp, value))| {
                let row = stamp.version.row.filter(|row| Some(row.realm) == realm)?;
                Some(((stamp.by_row(row), value), place))
            })
            .max_by(|(a, _), (b, _)| a.cmp(b));
        let place = chosen.map_or(kept.len() - 1, |(_, place)| place);
        self.newest = Some(kept.remove(place));
        self.others = kept;
    }
}

/// Whether a value can still be the newest, now or after more have come, beside these later ones.
fn may_count<T: Ord>((stamp, value): &(Stamp, T), later: &[(Stamp, T)], latest: Timestamp) -> bool {
    // Without a row version only the latest counts.
    let Some(row) = stamp.version.row else { return false };
    let recent = latest.duration_since(stamp.version.at) <= APART;
    let beaten = |(other, theirs): &(Stamp, T)| {
        let row_of = other.version.row.filter(|theirs| theirs.realm == row.realm);
        row_of.is_some_and(|theirs_row| (other.by_row(theirs_row), theirs) >= (stamp.by_row(row), value))
    };
    recent && !later.iter().any(beaten)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::Realm;

    fn writes() -> impl Strategy<Value = Vec<(Stamp, u8)>> {
        let row = (0_u64..4, 0_u16..2)
            .prop_map(|(number, realm)| RowVersion { number, realm: Realm::numbered(realm) });
        let stamp = (prop::option::of(row), 0_i64..5, 0_i64..3).prop_map(|(row, at, arrival)| Stamp {
            // Some within the time in which row versions count, and some not.
            version: Version { row, at: Timestamp::from_second(at * 500).expect("small") },
            arrival: SequenceNumber(arrival),
        });
        prop::collection::vec((stamp, 0_u8..3), 0..8)
    }

    fn register(writes: &[(Stamp, u8)]) -> LwwRegister<u8> {
        let mut register = LwwRegister::default();
        for (stamp, value) in writes {
            register.set(*stamp, *value);
        }
        register
    }

    fn joined(mut a: LwwRegister<u8>, b: LwwRegister<u8>) -> LwwRegister<u8> {
        a.merge(b);
        a
    }

    proptest! {
        #[test]
        fn merging_is_commutative(a in writes(), b in writes()) {
            let (a, b) = (register(&a), register(&b));
            prop_assert_eq!(joined(a.clone(), b.clone()), joined(b, a));
        }

        #[test]
        fn merging_is_associative(a in writes(), b in writes(), c in writes()) {
            let (a, b, c) = (register(&a), register(&b), register(&c));
            prop_assert_eq!(
                joined(joined(a.clone(), b.clone()), c.clone()),
                joined(a, joined(b, c))
            );
        }

        #[test]
        fn merging_is_idempotent(a in writes()) {
            let a = register(&a);
            prop_assert_eq!(joined(a.clone(), a.clone()), a);
        }

        #[test]
        fn the_order_of_arrival_does_not_matter(a in writes(), shift in 0_usize..8) {
            let mut turned = a.clone();
            turned.rotate_left(shift.min(a.len()));
            turned.reverse();
            prop_assert_eq!(register(&turned), register(&a));
        }

        #[test]
        fn of_two_values_the_one_with_the_newer_version_wins(a in writes()) {
            if let [first, second, ..] = a[..] {
                let newest = register(&a[..2]).newest().map(|(stamp, value)| (*stamp, *value));
                let (one, other) = (first.0.version, second.0.version);
                if one.is_newer_than(&other) {
                    prop_assert_eq!(newest, Some(first));
                } else if other.is_newer_than(&one) {
                    prop_assert_eq!(newest, Some(second));
                }
            }
        }

        #[test]
        fn without_row_versions_the_latest_wins(mut a in writes()) {
            for (stamp, _) in &mut a {
                stamp.version.row = None;
            }
            let newest = a.iter().map(|(stamp, value)| (stamp.by_time(), *value)).max();
            prop_assert_eq!(register(&a).newest().map(|(stamp, value)| (stamp.by_time(), *value)), newest);
        }
    }
}
