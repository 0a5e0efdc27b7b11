//! A last-writer-wins register: the newest of any number of values, in whatever order they come.
//!
//! Merging must be commutative, associative and idempotent, or duplicates and reordering would change the
//! result. A plain comparison of [`Version`]s is not: with A (row 5, 10:01), B (no row, 10:02) and C (row 4,
//! 10:03), A beats C by row, C beats B by time and B beats A by time. So the register keeps the newest value
//! of either kind, each kind being totally ordered, and merges kind by kind; a product of semilattices is a
//! semilattice. Which of the two counts is decided only when it is read.

use jiff::Timestamp;

use crate::{ids::SequenceNumber, version::Version};

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
    /// Order in which changes of one user are applied when they have to be applied one by one. Total, and
    /// the same as the register's order wherever all changes carry the same kind of version.
    #[must_use]
    pub fn order(&self) -> (Option<u64>, Timestamp, SequenceNumber) {
        (self.version.row, self.version.at, self.arrival)
    }

    fn by_row(&self, row: u64) -> (u64, Timestamp, SequenceNumber) {
        (row, self.version.at, self.arrival)
    }

    fn by_time(&self) -> (Timestamp, SequenceNumber) {
        (self.version.at, self.arrival)
    }
}

/// The newest value seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register<T> {
    /// Newest among the values whose version has a row version.
    with_row: Option<(u64, Stamp, T)>,
    /// Newest among the others.
    timed: Option<(Stamp, T)>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { with_row: None, timed: None }
    }
}

impl<T: Ord> Register<T> {
    /// Takes a value in. Returns whether this changed what [`Register::newest`] says.
    ///
    /// Two different values under one stamp cannot come from a queue; the greater one wins, so that even
    /// then the result does not depend on the order.
    pub fn set(&mut self, stamp: Stamp, value: T) -> bool {
        let before = self.newest_stamp();
        let replaced = if let Some(row) = stamp.version.row {
            let newer = self
                .with_row
                .as_ref()
                .is_none_or(|(known, at, old)| (stamp.by_row(row), &value) > (at.by_row(*known), old));
            if newer {
                self.with_row = Some((row, stamp, value));
            }
            newer
        } else {
            let newer =
                self.timed.as_ref().is_none_or(|(at, old)| (stamp.by_time(), &value) > (at.by_time(), old));
            if newer {
                self.timed = Some((stamp, value));
            }
            newer
        };
        replaced && (self.newest_stamp() != before || before == Some(stamp))
    }

    /// Takes everything from another register in.
    pub fn merge(&mut self, other: Self) {
        for (stamp, value) in
            other.with_row.map(|(_, stamp, value)| (stamp, value)).into_iter().chain(other.timed)
        {
            self.set(stamp, value);
        }
    }

    /// The newest value with its stamp.
    #[must_use]
    pub fn newest(&self) -> Option<(&Stamp, &T)> {
        match (&self.with_row, &self.timed) {
            (Some((_, row, value)), Some((time, _))) if row.by_time() >= time.by_time() => Some((row, value)),
            (Some((_, stamp, value)), None) | (_, Some((stamp, value))) => Some((stamp, value)),
            (None, None) => None,
        }
    }

    fn newest_stamp(&self) -> Option<Stamp> {
        self.newest().map(|(stamp, _)| *stamp)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn writes() -> impl Strategy<Value = Vec<(Stamp, u8)>> {
        let stamp = (prop::option::of(0_u64..4), 0_i64..4, 0_i64..3).prop_map(|(row, at, arrival)| Stamp {
            version: Version { row, at: Timestamp::from_second(at).expect("small") },
            arrival: SequenceNumber(arrival),
        });
        prop::collection::vec((stamp, 0_u8..3), 0..8)
    }

    fn register(writes: &[(Stamp, u8)]) -> Register<u8> {
        let mut register = Register::default();
        for (stamp, value) in writes {
            register.set(*stamp, *value);
        }
        register
    }

    fn joined(mut a: Register<u8>, b: Register<u8>) -> Register<u8> {
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
        fn set_tells_whether_the_newest_value_changed(a in writes(), more in writes()) {
            let mut register = register(&a);
            for (stamp, value) in more {
                let before = register.newest().map(|(s, v)| (*s, *v));
                let told = register.set(stamp, value);
                let after = register.newest().map(|(s, v)| (*s, *v));
                prop_assert_eq!(told, before != after);
            }
        }

        #[test]
        fn among_versions_of_one_kind_the_newest_wins(mut a in writes()) {
            for (stamp, _) in &mut a {
                stamp.version.row = None;
            }
            let newest = a.iter().map(|(stamp, value)| (stamp.by_time(), *value)).max();
            prop_assert_eq!(register(&a).newest().map(|(stamp, value)| (stamp.by_time(), *value)), newest);
        }
    }
}
