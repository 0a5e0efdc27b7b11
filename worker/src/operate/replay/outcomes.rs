//! What became of the copies, as far as the two queues show: one that is in neither has been settled.

use std::collections::BTreeSet;

use shared::ids::SequenceNumber;

/// What one look at both queues showed. The queue itself has to be looked at before the dead letters: what leaves it
/// for them in between is then seen twice instead of never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Copies that were sent before the look began.
    pub asked: BTreeSet<SequenceNumber>,
    /// Those that wait in the queue, are locked there, or are to come back later.
    pub waiting: BTreeSet<SequenceNumber>,
    /// Those that have become dead letters again since the look before.
    pub dead: BTreeSet<SequenceNumber>,
}

/// All copies of a run, by the number that their original had among the dead letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    open: BTreeSet<SequenceNumber>,
    dead: BTreeSet<SequenceNumber>,
    well: u64,
    failed: u64,
}

impl Outcomes {
    /// A copy is in the queue.
    pub(crate) fn sent(&mut self, sequence: SequenceNumber) {
        self.open.insert(sequence);
    }

    /// Copies whose outcome is not known.
    #[must_use]
    pub(crate) fn open(&self) -> &BTreeSet<SequenceNumber> {
        &self.open
    }

    /// Copies that were applied or needed no write.
    #[must_use]
    pub(crate) fn well(&self) -> u64 {
        self.well
    }

    /// Copies that became dead letters again.
    #[must_use]
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Takes in what a look showed.
    pub(crate) fn looked(&mut self, look: &Look) {
        self.dead.extend(&look.dead);
        for sequence in &look.asked {
            let dead = self.dead.contains(sequence);
            if (dead || !look.waiting.contains(sequence)) && self.open.remove(sequence) {
                if dead {
                    self.failed += 1;
                } else {
                    self.well += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(numbers: &[i64]) -> BTreeSet<SequenceNumber> {
        numbers.iter().copied().map(SequenceNumber).collect()
    }

    #[test]
    fn what_is_in_neither_queue_is_done() {
        let mut outcomes = Outcomes::default();
        (1..=5).for_each(|number| outcomes.sent(SequenceNumber(number)));
        // 4 left the queue for the dead letters during the look, and 5 was sent after it had begun.
        let look = Look { asked: set(&[1, 2, 3, 4]), waiting: set(&[2, 4]), dead: set(&[3, 4]) };
        outcomes.looked(&look);
        outcomes.looked(&look);
        assert_eq!((outcomes.well(), outcomes.failed(), outcomes.open()), (1, 2, &set(&[2, 5])));
    }

    proptest! {
        #[test]
        fn every_copy_has_one_outcome_or_none(
            sent in prop::collection::btree_set(0_i64..50, 0..50),
            looks in prop::collection::vec(
                (prop::collection::btree_set(0_i64..50, 0..50), prop::collection::btree_set(0_i64..50, 0..50)), 0..6),
        ) {
            let mut outcomes = Outcomes::default();
            for number in &sent {
                outcomes.sent(SequenceNumber(*number));
            }
            for (waiting, dead) in looks {
                let asked = outcomes.open().clone();
                let of = |numbers: BTreeSet<i64>| numbers.into_iter().map(SequenceNumber).collect();
                outcomes.looked(&Look { asked, waiting: of(waiting), dead: of(dead) });
                let known = outcomes.well() + outcomes.failed() + outcomes.open().len() as u64;
                prop_assert_eq!(known, sent.len() as u64);
            }
        }
    }
}
