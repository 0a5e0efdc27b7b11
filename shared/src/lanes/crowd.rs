//! Whose turn it is while there is no room for more messages: the lanes with the most of them.
//!
//! More wait in the queue than can be held. Each write makes room for as many messages as it carries, and each message
//! that then comes may spare a write of its own; so the fewest writes are needed if each makes as much room as possible.

use crate::{ids::UserId, priority::Priority};

/// Lanes that are chosen at a time, so that not every write looks at all of them.
const AT_A_TIME: usize = 16;

/// The fullest lanes, the fullest of them last.
#[derive(Debug, Default)]
pub(super) struct Crowd(Vec<UserId>);

impl Crowd {
    /// The next of the lanes; `all` tells them with how much they are waited for and their changes, if they have to be
    /// chosen anew.
    pub(super) fn next<I>(&mut self, all: impl FnOnce() -> I) -> Option<UserId>
    where
        I: Iterator<Item = (UserId, Priority, usize)>,
    {
        if self.0.is_empty() {
            let mut lanes: Vec<_> = all().map(|(user, urgency, changes)| (urgency, changes, user)).collect();
            // By user among their like, so that nothing depends on the order of a table.
            lanes.sort_unstable();
            let first = lanes.len().saturating_sub(AT_A_TIME);
            self.0.extend(lanes.drain(first..).map(|(_, _, user)| user));
        }
        self.0.pop()
    }

    /// There is room again.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    #[test]
    fn live_lanes_come_first_and_the_fullest_among_their_like() {
        let mut crowd = Crowd::default();
        let (live, replayed) = (Priority::Live, Priority::Replayed);
        let all = [(1, live, 2), (2, replayed, 9), (3, live, 5), (4, live, 3)];
        let mut next =
            || crowd.next(|| all.map(|(n, urgency, changes)| (user(n), urgency, changes)).into_iter());
        let order: Vec<_> = (0..5).filter_map(|_| next()).collect();
        assert_eq!(order, [3, 4, 1, 2, 3].map(user), "and chosen anew after the last");
        crowd.clear();
        assert_eq!(crowd.next(std::iter::empty), None);
    }
}
