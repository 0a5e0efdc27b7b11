//! Whose turn it is: lanes with work of people who wait for it before lanes with work of a bulk only, those before lanes
//! with replayed work only, and none of them without end.
//!
//! Among their like, lanes come in the order in which they began to wait. Where writes are scarce, the lane with the
//! newest change comes first instead: it is the one that somebody waits for in front of a screen, and another replica
//! that holds older changes of its user finds them done. One turn in twenty goes to whoever has waited longest.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    ids::{IdMap, SequenceNumber, UserId},
    lww_register::Stamp,
    priority::Priority,
};

/// After so many turns in a row of lanes that come first, one of those that come after them has its turn: a replay that never
/// ends would keep its messages under lock in vain.
const FIRST_IN_A_ROW: u32 = 19;

/// After so many turns of the newest in a row, the lane that has waited longest has its turn.
const NEWEST_IN_A_ROW: u32 = 19;

/// How new a change is, among those of different users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Newness(Timestamp, SequenceNumber);

impl Newness {
    /// As old as can be.
    pub(super) const OLDEST: Self = Self(Timestamp::MIN, SequenceNumber(0));
}

impl From<Stamp> for Newness {
    fn from(stamp: Stamp) -> Self {
        Self(stamp.version.at, stamp.arrival)
    }
}

/// Which lane comes first among its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The one that has waited longest.
    Longest,
    /// The one with the newest change, mostly.
    Newest,
}

/// Which lanes may have their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// All of them.
    All,
    /// Those with work that was not replayed.
    NotReplayed,
}

impl Among {
    /// The last priority among them.
    const fn last(self) -> Priority {
        match self {
            Self::All => Priority::Replayed,
            Self::NotReplayed => Priority::Bulk,
        }
    }
}

/// What comes first, first.
const BY_PRIORITY: [Priority; 3] = [Priority::Live, Priority::Bulk, Priority::Replayed];

/// Lanes with something to write, each once.
#[derive(Debug, Default)]
pub(super) struct Turns {
    live: Line,
    bulk: Line,
    replayed: Line,
    places: IdMap<UserId, Place>,
    newest_in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    urgency: Priority,
    turn: i64,
    newness: Newness,
}

/// Lanes of one urgency, in both orders.
#[derive(Debug, Default)]
struct Line {
    by_turn: BTreeMap<i64, UserId>,
    by_newness: BTreeSet<(Newness, UserId)>,
    /// Turns in a row that it had while others waited behind it.
    in_a_row: u32,
}

impl Line {
    fn insert(&mut self, user: UserId, place: Place) {
        self.by_turn.insert(place.turn, user);
        self.by_newness.insert((place.newness, user));
    }

    fn remove(&mut self, user: UserId, place: Place) {
        self.by_turn.remove(&place.turn);
        self.by_newness.remove(&(place.newness, user));
    }

    fn first(&self, first: First) -> Option<UserId> {
        match first {
            First::Longest => self.by_turn.first_key_value().map(|(_, user)| *user),
            First::Newest => self.by_newness.last().map(|(_, user)| *user),
        }
    }
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many of these lanes wait.
    pub(super) fn count(&self, among: Among) -> usize {
        self.up_to(among.last())
    }

    /// How many lanes wait that come as early as this, or before.
    pub(super) fn up_to(&self, last: Priority) -> usize {
        let lines = BY_PRIORITY.into_iter().filter(|priority| *priority >= last);
        lines.map(|priority| self.line(priority).by_turn.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives a lane the last turn among its like, unless it has a turn that is as good.
    pub(super) fn push_back(&mut self, user: UserId, urgency: Priority, newness: Newness) {
        let turn = self.line(urgency).by_turn.last_key_value().map_or(0, |(turn, _)| turn + 1);
        self.put(user, Place { urgency, turn, newness });
    }

    /// Gives a lane the first turn among its like.
    pub(super) fn push_front(&mut self, user: UserId, urgency: Priority, newness: Newness) {
        let turn = self.line(urgency).by_turn.first_key_value().map_or(0, |(turn, _)| turn - 1);
        self.put(user, Place { urgency, turn, newness });
    }

    /// A change came to a lane: it is as new as that, and live work does not wait among the replayed.
    pub(super) fn renew(&mut self, user: UserId, urgency: Priority, newness: Newness) {
        let Some(&place) = self.places.get(&user) else { return };
        if newness > place.newness {
            self.of(place.urgency).remove(user, place);
            let place = Place { newness, ..place };
            self.of(place.urgency).insert(user, place);
            self.places.insert(user, place);
        }
        if urgency > place.urgency {
            self.push_back(user, urgency, newness.max(place.newness));
        }
    }

    /// All lanes, with how much they are waited for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UserId, Priority)> {
        self.places.iter().map(|(user, place)| (*user, place.urgency))
    }

    /// Gives this lane a turn in place of the newest; false if it has none, or if it is the turn of the one that has
    /// waited longest.
    pub(super) fn take(&mut self, user: UserId) -> bool {
        if self.newest_in_a_row >= NEWEST_IN_A_ROW {
            return false;
        }
        let Some(place) = self.places.remove(&user) else { return false };
        self.of(place.urgency).remove(user, place);
        self.newest_in_a_row += 1;
        true
    }

    /// The lane whose turn it is.
    pub(super) fn pop(&mut self, first: First, among: Among) -> Option<UserId> {
        let due = first == First::Newest && self.newest_in_a_row >= NEWEST_IN_A_ROW;
        let first = if due { First::Longest } else { first };
        let whose = self.whose_turn(among)?;
        let user = self.line(whose).first(first)?;
        self.newest_in_a_row = if first == First::Newest { self.newest_in_a_row + 1 } else { 0 };
        if let Some(place) = self.places.remove(&user) {
            self.of(place.urgency).remove(user, place);
        }
        Some(user)
    }

    /// Whose turn it is: of those that come first, unless they had it often enough while others waited.
    fn whose_turn(&mut self, among: Among) -> Option<Priority> {
        let waits = |turns: &Self, priority| !turns.line(priority).by_turn.is_empty();
        let last = BY_PRIORITY
            .into_iter()
            .rev()
            .find(|priority| *priority >= among.last() && waits(self, *priority))?;
        for priority in BY_PRIORITY.into_iter().take_while(|priority| *priority != last) {
            if waits(self, priority) {
                let line = self.of(priority);
                if line.in_a_row < FIRST_IN_A_ROW {
                    line.in_a_row += 1;
                    return Some(priority);
                }
                line.in_a_row = 0;
            }
        }
        self.of(last).in_a_row = 0;
        Some(last)
    }

    fn put(&mut self, user: UserId, place: Place) {
        match self.places.get(&user).copied() {
            Some(present) if present.urgency >= place.urgency => return,
            Some(present) => self.of(present.urgency).remove(user, present),
            None => {}
        }
        self.of(place.urgency).insert(user, place);
        self.places.insert(user, place);
    }

    fn line(&self, urgency: Priority) -> &Line {
        match urgency {
            Priority::Live => &self.live,
            Priority::Bulk => &self.bulk,
            Priority::Replayed => &self.replayed,
        }
    }

    fn of(&mut self, urgency: Priority) -> &mut Line {
        match urgency {
            Priority::Live => &mut self.live,
            Priority::Bulk => &mut self.bulk,
            Priority::Replayed => &mut self.replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn user(n: u8) -> UserId {
        UserId(Uuid::from_u128(u128::from(n) + 1))
    }

    fn newness(second: u8) -> Newness {
        Newness(Timestamp::from_second(i64::from(second)).expect("small"), SequenceNumber(0))
    }

    fn drain(turns: &mut Turns, first: First) -> Vec<UserId> {
        std::iter::from_fn(|| turns.pop(first, Among::All)).collect()
    }

    #[test]
    fn live_lanes_go_first_and_each_kind_keeps_its_order() {
        let mut turns = Turns::default();
        for (n, urgency) in
            [(0, Priority::Replayed), (1, Priority::Live), (2, Priority::Replayed), (3, Priority::Live)]
        {
            turns.push_back(user(n), urgency, newness(9 - n));
        }
        turns.push_front(user(4), Priority::Replayed, newness(0));
        assert_eq!(drain(&mut turns, First::Longest), [1, 3, 4, 0, 2].map(user));
    }

    #[test]
    fn a_bulk_comes_after_people_and_before_what_is_replayed_and_each_has_its_turns() {
        let mut turns = Turns::default();
        let mut counts = [0_usize; 3];
        for round in 0..800_usize {
            // All three always wait.
            for (n, priority) in BY_PRIORITY.into_iter().enumerate() {
                turns.push_back(user(u8::try_from(n).expect("small")), priority, newness(0));
            }
            let popped = turns.pop(First::Longest, Among::All).expect("all wait");
            let which = (0..3_u8).position(|n| user(n) == popped).expect("one of them");
            counts[which] += 1;
            assert_eq!(counts.iter().sum::<usize>(), round + 1);
        }
        assert_eq!(counts, [760, 38, 2]);
        // The last turn was for what is replayed.
        assert_eq!(turns.count(Among::NotReplayed), 2);
        assert_eq!(BY_PRIORITY.map(|last| turns.up_to(last)), [1, 2, 2]);
    }

    #[test]
    fn a_lane_to_which_live_work_comes_leaves_the_replayed_ones() {
        let mut turns = Turns::default();
        turns.push_back(user(0), Priority::Replayed, newness(0));
        turns.push_back(user(1), Priority::Replayed, newness(0));
        turns.renew(user(1), Priority::Live, newness(0));
        turns.renew(user(2), Priority::Live, newness(0));
        assert_eq!((turns.len(), drain(&mut turns, First::Longest)), (2, vec![user(1), user(0)]));
    }

    #[test]
    fn where_writes_are_scarce_the_newest_change_comes_first_and_one_turn_in_twenty_is_for_the_longest_waiting()
     {
        let mut turns = Turns::default();
        (0..24).for_each(|n| turns.push_back(user(n), Priority::Live, newness(n)));
        turns.renew(user(5), Priority::Live, newness(30));
        let mut expected = vec![5];
        expected.extend((6..24).rev());
        expected.extend([0, 4, 3, 2, 1]);
        assert_eq!(drain(&mut turns, First::Newest), expected.into_iter().map(user).collect::<Vec<_>>());
    }

    #[test]
    fn replayed_lanes_get_one_turn_in_twenty_however_much_is_live() {
        for first in [First::Longest, First::Newest] {
            let mut turns = Turns::default();
            (0..5).for_each(|n| turns.push_back(user(n), Priority::Replayed, newness(n)));
            let mut replayed = Vec::new();
            for turn in 1..=100 {
                let live = user(100 + turn % 2);
                turns.push_back(live, Priority::Live, newness(turn));
                let popped = turns.pop(first, Among::All).expect("a lane is there");
                if popped < user(100) {
                    replayed.push(turn);
                }
            }
            assert_eq!(replayed, [20, 40, 60, 80, 100]);
        }
    }

    proptest! {
        #[test]
        fn every_lane_has_exactly_one_turn(
            steps in prop::collection::vec((0_u8..5, 0_u8..6, 0_usize..3, 0_u8..9), 0..200),
        ) {
            let (mut turns, mut waiting) = (Turns::default(), BTreeSet::new());
            for (step, n, priority, second) in steps {
                let urgency = BY_PRIORITY[priority];
                let pop = |turns: &mut Turns, waiting: &mut BTreeSet<UserId>, first| {
                    let popped = turns.pop(first, Among::All);
                    popped.is_none() == waiting.is_empty() && popped.is_none_or(|user| waiting.remove(&user))
                };
                match step {
                    0 => { turns.push_back(user(n), urgency, newness(second)); waiting.insert(user(n)); }
                    1 => { turns.push_front(user(n), urgency, newness(second)); waiting.insert(user(n)); }
                    2 => turns.renew(user(n), urgency, newness(second)),
                    3 => prop_assert!(pop(&mut turns, &mut waiting, First::Newest)),
                    _ => prop_assert!(pop(&mut turns, &mut waiting, First::Longest)),
                }
                prop_assert_eq!((turns.len(), turns.is_empty()), (waiting.len(), waiting.is_empty()));
            }
            prop_assert_eq!(drain(&mut turns, First::Newest).into_iter().collect::<BTreeSet<_>>(), waiting);
        }
    }
}
