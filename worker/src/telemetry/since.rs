//! Since when something is wrong, as far as anybody has looked.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// When each of several things began to be wrong.
#[derive(Debug)]
pub(super) struct Since<N>(BTreeMap<N, Timestamp>);

impl<N> Default for Since<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<N: Ord> Since<N> {
    /// Takes in whether something is wrong now; tells since when.
    pub(super) fn look(&mut self, name: N, wrong: bool, now: Timestamp) -> Option<Timestamp> {
        if wrong {
            return Some(*self.0.entry(name).or_insert(now));
        }
        self.0.remove(&name);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_well_in_between_begins_anew() {
        let at = |second| Timestamp::from_second(second).expect("small");
        let mut since = Since::default();
        assert_eq!(since.look("token", true, at(1)), Some(at(1)));
        assert_eq!(since.look("token", true, at(2)), Some(at(1)));
        assert_eq!(since.look("broker", true, at(2)), Some(at(2)));
        assert_eq!(since.look("token", false, at(3)), None);
        assert_eq!(since.look("token", true, at(4)), Some(at(4)));
    }
}
