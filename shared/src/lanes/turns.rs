//! Whose turn it is: lanes with live work before lanes with replayed work only, and neither without end.

use std::collections::{BTreeMap, HashMap};

use crate::{ids::UserId, urgency::Urgency};

/// After so many turns of live lanes in a row, one of the replayed ones has its turn: a replay that never ends
/// would keep its messages under lock in vain.
const LIVE_IN_A_ROW: u32 = 19;

/// Lanes with something to write, each once.
#[derive(Debug, Default)]
pub(super) struct Turns {
    live: BTreeMap<i64, UserId>,
    replayed: BTreeMap<i64, UserId>,
    places: HashMap<UserId, (Urgency, i64)>,
    live_in_a_row: u32,
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives a lane the last turn among its like, unless it has a turn that is as good.
    pub(super) fn push_back(&mut self, user: UserId, urgency: Urgency) {
        let last = self.of(urgency).last_key_value().map_or(0, |(place, _)| place + 1);
        self.put(user, urgency, last);
    }

    /// Gives a lane the first turn among its like.
    pub(super) fn push_front(&mut self, user: UserId, urgency: Urgency) {
        let first = self.of(urgency).first_key_value().map_or(0, |(place, _)| place - 1);
        self.put(user, urgency, first);
    }

    /// Live work came to a lane whose turn would be among the replayed ones.
    pub(super) fn promote(&mut self, user: UserId) {
        if self.places.contains_key(&user) {
            self.push_back(user, Urgency::Live);
        }
    }

    /// The lane whose turn it is.
    pub(super) fn pop(&mut self) -> Option<UserId> {
        let live = match (self.live.is_empty(), self.replayed.is_empty()) {
            (false, false) => self.live_in_a_row < LIVE_IN_A_ROW,
            (no_live, _) => !no_live,
        };
        self.live_in_a_row = if live && !self.replayed.is_empty() { self.live_in_a_row + 1 } else { 0 };
        let turns = if live { &mut self.live } else { &mut self.replayed };
        let (_, user) = turns.pop_first()?;
        self.places.remove(&user);
        Some(user)
    }

    fn put(&mut self, user: UserId, urgency: Urgency, place: i64) {
        match self.places.get(&user) {
            Some((present, _)) if *present >= urgency => return,
            Some((present, place)) => {
                let (present, place) = (*present, *place);
                self.of(present).remove(&place);
            }
            None => {}
        }
        self.of(urgency).insert(place, user);
        self.places.insert(user, (urgency, place));
    }

    fn of(&mut self, urgency: Urgency) -> &mut BTreeMap<i64, UserId> {
        match urgency {
            Urgency::Live => &mut self.live,
            Urgency::Replayed => &mut self.replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn user(n: u8) -> UserId {
        UserId(Uuid::from_u128(u128::from(n) + 1))
    }

    fn drain(turns: &mut Turns) -> Vec<UserId> {
        std::iter::from_fn(|| turns.pop()).collect()
    }

    #[test]
    fn live_lanes_go_first_and_each_kind_keeps_its_order() {
        let mut turns = Turns::default();
        for (n, urgency) in
            [(0, Urgency::Replayed), (1, Urgency::Live), (2, Urgency::Replayed), (3, Urgency::Live)]
        {
            turns.push_back(user(n), urgency);
        }
        turns.push_front(user(4), Urgency::Replayed);
        assert_eq!(drain(&mut turns), [1, 3, 4, 0, 2].map(user));
    }

    #[test]
    fn a_lane_to_which_live_work_comes_leaves_the_replayed_ones() {
        let mut turns = Turns::default();
        turns.push_back(user(0), Urgency::Replayed);
        turns.push_back(user(1), Urgency::Replayed);
        turns.promote(user(1));
        turns.promote(user(2));
        assert_eq!((turns.len(), drain(&mut turns)), (2, vec![user(1), user(0)]));
    }

    #[test]
    fn replayed_lanes_get_one_turn_in_twenty_however_much_is_live() {
        let mut turns = Turns::default();
        (0..5).for_each(|n| turns.push_back(user(n), Urgency::Replayed));
        let mut replayed = Vec::new();
        for turn in 1..=100 {
            turns.push_back(user(100 + u8::try_from(turn % 2).expect("small")), Urgency::Live);
            let popped = turns.pop().expect("a lane is there");
            if popped < user(100) {
                replayed.push(turn);
            }
        }
        assert_eq!(replayed, [20, 40, 60, 80, 100]);
    }

    proptest! {
        #[test]
        fn every_lane_has_exactly_one_turn(
            steps in prop::collection::vec((0_u8..4, 0_u8..6, any::<bool>()), 0..200),
        ) {
            let (mut turns, mut waiting) = (Turns::default(), BTreeSet::new());
            for (step, n, live) in steps {
                let urgency = if live { Urgency::Live } else { Urgency::Replayed };
                match step {
                    0 => { turns.push_back(user(n), urgency); waiting.insert(user(n)); }
                    1 => { turns.push_front(user(n), urgency); waiting.insert(user(n)); }
                    2 => turns.promote(user(n)),
                    _ => {
                        let popped = turns.pop();
                        prop_assert_eq!(popped.is_none(), waiting.is_empty());
                        prop_assert!(popped.is_none_or(|user| waiting.remove(&user)));
                    }
                }
                prop_assert_eq!((turns.len(), turns.is_empty()), (waiting.len(), waiting.is_empty()));
            }
            prop_assert_eq!(drain(&mut turns).into_iter().collect::<BTreeSet<_>>(), waiting);
        }
    }
}
