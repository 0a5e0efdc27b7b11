//! Message ids seen within the window of duplicate detection.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use super::Time;

/// Remembers ids for a fixed time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<String>,
    // All ids live equally long, so the order of arrival is the order of leaving.
    leaving: VecDeque<(Time, String)>,
}

impl Seen {
    /// Whether `id` is new; it is remembered from now on.
    pub(super) fn is_new(&mut self, id: &str, window: Duration, now: Time) -> bool {
        self.forget(now);
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.leaving.push_back((now + window, id.to_owned()));
        true
    }

    fn forget(&mut self, now: Time) {
        while self.leaving.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, id)) = self.leaving.pop_front() {
                self.ids.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_again_when_its_window_has_passed() {
        let window = Duration::from_secs(20);
        let mut seen = Seen::default();
        assert!(seen.is_new("a", window, Time::from_millis(0)));
        assert!(!seen.is_new("a", window, Time::from_millis(19_999)));
        assert!(seen.is_new("a", window, Time::from_millis(20_000)));
    }
}
