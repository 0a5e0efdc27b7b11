//! The token at hand, and when to ask for the next. Pure: the time is an argument.

use jiff::{SignedDuration, Timestamp};

use super::Bearer;

/// A token is renewed this long before its end, so that no call travels with one that ends on the way.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
/// While the old token still works, a renewal that failed is tried again after this time.
const RETRY: SignedDuration = SignedDuration::from_secs(30);

/// The token of one resource.
#[derive(Debug, Default)]
pub(super) struct Cache {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    bearer: Bearer,
    renew_at: Timestamp,
}

/// What to do for a caller who wants a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// This one is good.
    Use(Bearer),
    /// Ask for one. If that fails, the fallback is good a little longer.
    Ask { fallback: Option<Bearer> },
}

impl Cache {
    pub(super) fn look(&self, now: Timestamp) -> Look {
        match &self.held {
            Some(held) if held.bearer.expires() <= now => Look::Ask { fallback: None },
            Some(held) if held.renew_at <= now => Look::Ask { fallback: Some(held.bearer.clone()) },
            Some(held) => Look::Use(held.bearer.clone()),
            None => Look::Ask { fallback: None },
        }
    }

    /// Takes a fresh token.
    pub(super) fn put(&mut self, bearer: Bearer, now: Timestamp) {
        // A quarter for tokens that live minutes only, or else they would be renewed for every call.
        let life = bearer.expires().duration_since(now);
        let renew_at = bearer.expires() - EARLY.min(life / 4);
        self.held = Some(Held { bearer, renew_at });
    }

    /// Notes that no new token could be had.
    pub(super) fn failed(&mut self, now: Timestamp) {
        if let Some(held) = &mut self.held {
            held.renew_at = held.renew_at.max(now + RETRY);
        }
    }

    /// Drops a token that was refused, if it is the one at hand.
    pub(super) fn forget(&mut self, refused: &Bearer) {
        if self.held.as_ref().is_some_and(|held| held.bearer == *refused) {
            self.held = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn bearer(text: &str, until: i64) -> Bearer {
        Bearer::new(text, at(until)).expect("a token")
    }

    fn ask(fallback: Option<&Bearer>) -> Look {
        Look::Ask { fallback: fallback.cloned() }
    }

    #[test]
    fn a_token_is_renewed_five_minutes_early() {
        let mut cache = Cache::default();
        assert_eq!(cache.look(at(0)), ask(None));
        let token = bearer("a", 3_600);
        cache.put(token.clone(), at(0));
        assert_eq!(cache.look(at(3_299)), Look::Use(token.clone()));
        assert_eq!(cache.look(at(3_300)), ask(Some(&token)));
        assert_eq!(cache.look(at(3_600)), ask(None));
    }

    #[test]
    fn a_token_of_a_few_minutes_is_used_for_most_of_its_life() {
        let mut cache = Cache::default();
        let token = bearer("a", 240);
        cache.put(token.clone(), at(0));
        assert_eq!(cache.look(at(179)), Look::Use(token.clone()));
        assert_eq!(cache.look(at(180)), ask(Some(&token)));
    }

    #[test]
    fn the_old_token_serves_while_renewals_fail_and_they_are_spaced() {
        let mut cache = Cache::default();
        let token = bearer("a", 3_600);
        cache.put(token.clone(), at(0));
        cache.failed(at(3_300));
        assert_eq!(cache.look(at(3_329)), Look::Use(token.clone()));
        assert_eq!(cache.look(at(3_330)), ask(Some(&token)));
        cache.failed(at(3_590));
        assert_eq!(cache.look(at(3_600)), ask(None), "an ended token is never used");
    }

    #[test]
    fn only_the_refused_token_is_forgotten() {
        let mut cache = Cache::default();
        let token = bearer("a", 3_600);
        cache.put(token.clone(), at(0));
        cache.forget(&bearer("b", 3_600));
        assert_eq!(cache.look(at(1)), Look::Use(token.clone()));
        cache.forget(&token);
        assert_eq!(cache.look(at(1)), ask(None));
    }
}
