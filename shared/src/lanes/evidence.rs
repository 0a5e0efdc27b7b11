//! Whose fault a refusal is: that of one user or value, or that of the installation.
//!
//! Graph answers both alike. What tells them apart is what becomes of others: if others are written after a refusal,
//! it was about this user; if many different users are refused alike and nobody is written in between, it is about
//! everybody. What was refused for its values is its own fault only when the same properties are accepted of somebody,
//! because a mapping can name a property that the tenant does not have, and other properties are written all the while.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::api::{About, Suspicion};
use crate::{
    ids::{SequenceNumber, UserId},
    property::Property,
};

/// Users whose failures are remembered; enough for the administrators and broken accounts of any portal.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2_000).unwrap();
/// Kinds of refusals that are kept apart. More in a row without a write are no pattern.
const KINDS: usize = 32;
/// Users who must be denied in a row before it is about everybody.
const DENIED: usize = 2;

/// A change: the user, and the message that carries it, which may carry changes of others too.
pub(super) type Change = (UserId, SequenceNumber);

/// What is to be thought of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is about this user or these values.
    Own,
    /// Nothing tells yet.
    Unclear,
    /// It is about everybody.
    Everybody,
    /// It is about everybody who has this property changed; others are written.
    Property,
}

/// Refusals of one kind.
#[derive(Debug)]
struct Kind {
    answer: Box<str>,
    about: About,
    /// Users refused since anybody was written, and when; no more than count.
    in_a_row: Vec<(UserId, Start)>,
    /// Users refused since the properties were accepted of anybody; no more than count.
    refused: Vec<(UserId, Start)>,
    /// Properties that were in all of these refusals and have not been accepted since.
    suspects: Vec<Property>,
    latest: Start,
    /// Whether others were written while many were refused.
    apart: bool,
}

/// The place of a write among all writes of this replica, in the order in which they were begun.
///
/// Only a write that was begun after a refusal shows anything about it: Graph may have accepted one that was under way
/// before the fault began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start(u64);

/// What was known when a write was begun. What is heard while it is under way may have happened after it was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Begun {
    /// Its place among all writes.
    pub(super) place: Start,
    /// The latest write that was known to be accepted.
    accepted: Start,
    /// The latest one before which all of its properties were known to be accepted.
    accepted_with_all: Start,
}

/// What answers have shown so far.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Different users that must be refused alike before it is about everybody.
    many: usize,
    /// The latest write that was begun.
    begun: Start,
    /// The latest write that was accepted, by when it was begun.
    accepted: Start,
    /// The latest write that was accepted with each property.
    accepted_with: Vec<(Property, Start)>,
    kinds: Vec<Kind>,
    /// When a user failed first since he was written himself.
    failing: LruCache<UserId, Start>,
    /// When a user was denied first since he was written himself.
    denied: LruCache<UserId, Start>,
    /// When a change was refused first. By change, because one bad value of a user says nothing about his next one.
    refused: LruCache<Change, Start>,
}

impl Evidence {
    /// None so far.
    pub(super) fn new(many: usize) -> Self {
        let zero = Start::default();
        Self {
            many,
            begun: zero,
            accepted: zero,
            accepted_with: Vec::new(),
            kinds: Vec::new(),
            failing: LruCache::new(REMEMBERED),
            denied: LruCache::new(REMEMBERED),
            refused: LruCache::new(REMEMBERED),
        }
    }

    /// A write of these properties begins.
    pub(super) fn begin(&mut self, properties: &[Property]) -> Begun {
        self.begun.0 += 1;
        let with = |property: &Property| {
            self.accepted_with.iter().find(|(known, _)| known == property).map(|(_, latest)| *latest)
        };
        // Nothing is asked of it while nothing is in doubt.
        let all =
            if self.is_open() { properties.iter().map(|p| with(p).unwrap_or_default()).min() } else { None };
        Begun {
            place: self.begun,
            accepted: self.accepted,
            accepted_with_all: all.unwrap_or_default().min(self.accepted),
        }
    }

    /// What a write must have been begun after to tell about a refusal that is heard of now.
    pub(super) fn now(&self) -> Start {
        self.begun
    }

    /// Whether an accepted write has to be told with its properties.
    pub(super) fn is_open(&self) -> bool {
        !self.kinds.is_empty() || !self.refused.is_empty()
    }

    /// A write of this user with these properties was accepted.
    pub(super) fn written(&mut self, user: UserId, begun: Start, properties: &[Property]) {
        self.accepted = self.accepted.max(begun);
        for remembered in [&mut self.failing, &mut self.denied] {
            if !remembered.is_empty() {
                remembered.pop(&user);
            }
        }
        for property in properties {
            match self.accepted_with.iter_mut().find(|(known, _)| known == property) {
                Some((_, latest)) => *latest = begun.max(*latest),
                None => self.accepted_with.push((property.clone(), begun)),
            }
        }
        let many = self.many;
        for kind in &mut self.kinds {
            kind.in_a_row.retain(|(_, refused)| *refused >= begun);
            if kind.latest < begun {
                kind.suspects.retain(|suspect| !properties.contains(suspect));
            }
            kind.apart |= kind.in_a_row.is_empty() && kind.refused.len() >= many;
        }
        self.kinds.retain(|kind| {
            if kind.about == About::Values { !kind.suspects.is_empty() } else { !kind.in_a_row.is_empty() }
        });
    }

    /// A call for this user failed. Tells whether that is his own fault: others have been written since he failed
    /// before.
    pub(super) fn fails(&mut self, user: UserId) -> bool {
        let begun = self.begun;
        *self.failing.get_or_insert(user, || begun) < self.accepted
    }

    /// Whether others had been written since this user was denied before, when he was tried again.
    fn is_denied_alone(&mut self, user: UserId, tried: Begun) -> bool {
        // A user who failed is not one who was denied.
        let now = self.begun;
        *self.denied.get_or_insert(user, || now) < tried.accepted
    }

    /// Whether others had been written, with all of its properties where these may be to blame, since this change was
    /// refused before, when it was tried again.
    fn is_refused_alone(&mut self, change: Change, about: About, tried: Begun) -> bool {
        let now = self.begun;
        let then = *self.refused.get_or_insert(change, || now);
        then < if about == About::Values { tried.accepted_with_all } else { tried.accepted }
    }

    /// Whether such refusals are in doubt already: a user who may only be too new is not waited for then.
    pub(super) fn doubts(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| *known.answer == *kind && known.in_a_row.len() >= self.many)
    }

    /// A change of a user was refused; `properties` are those that may be to blame.
    pub(super) fn refused(
        &mut self,
        change: Change,
        tried: Begun,
        suspicion: &Suspicion,
        properties: &[Property],
    ) -> Judgement {
        let (user, _) = change;
        let enough = match suspicion.about {
            About::Values | About::User => self.many,
            About::Denial => DENIED,
            About::Way => 1,
        };
        let own = match suspicion.about {
            about @ (About::Values | About::User) => self.is_refused_alone(change, about, tried),
            About::Denial => self.is_denied_alone(user, tried),
            About::Way => self.fails(user),
        };
        if own {
            return Judgement::Own;
        }
        let now = self.begun;
        let Some(kind) = self.kind(suspicion, properties) else { return Judgement::Unclear };
        note(&mut kind.in_a_row, user, now, enough);
        note(&mut kind.refused, user, now, enough);
        kind.latest = now;
        kind.narrow(properties);
        match (kind.apart, kind.in_a_row.len() < enough) {
            (true, _) => Judgement::Property,
            (false, true) => Judgement::Unclear,
            (false, false) => Judgement::Everybody,
        }
    }

    /// Properties that are refused of everybody while others are written, with what Graph says.
    pub(super) fn suspects(&self) -> impl Iterator<Item = (&str, &[Property])> {
        self.kinds.iter().filter(|kind| kind.apart).map(|kind| (&*kind.answer, &*kind.suspects))
    }

    /// Whether refusals like this one are about everybody with the property.
    pub(super) fn is_apart(&self, kind: &str, properties: &[Property]) -> bool {
        self.kinds.iter().any(|known| known.apart && *known.answer == *kind && known.shares(properties))
    }

    fn kind(&mut self, suspicion: &Suspicion, properties: &[Property]) -> Option<&mut Kind> {
        let known = self.kinds.iter().position(|known| {
            known.answer == suspicion.kind && (suspicion.about != About::Values || known.shares(properties))
        });
        let place = match known {
            Some(place) => place,
            None if self.kinds.len() >= KINDS => return None,
            None => {
                self.kinds.push(Kind {
                    answer: suspicion.kind.clone(),
                    about: suspicion.about,
                    in_a_row: Vec::new(),
                    refused: Vec::new(),
                    suspects: properties.to_vec(),
                    latest: Start::default(),
                    apart: false,
                });
                self.kinds.len() - 1
            }
        };
        self.kinds.get_mut(place)
    }
}

impl Kind {
    fn shares(&self, properties: &[Property]) -> bool {
        self.suspects.iter().any(|suspect| properties.contains(suspect))
    }

    /// What is to blame is in every refusal.
    fn narrow(&mut self, properties: &[Property]) {
        if self.shares(properties) {
            self.suspects.retain(|suspect| properties.contains(suspect));
        }
    }
}

fn note(users: &mut Vec<(UserId, Start)>, user: UserId, now: Start, enough: usize) {
    users.retain(|(known, _)| *known != user);
    if users.len() >= enough {
        users.remove(0);
    }
    users.push((user, now));
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MAIL: &str = "mail";
    const NAME: &str = "givenName";

    fn property(name: &str) -> Property {
        Property::named(name).expect("known")
    }

    fn user(n: u32) -> UserId {
        UserId(Uuid::from_u128(u128::from(n) + 1))
    }

    /// The one change of a user.
    fn change(n: u32) -> Change {
        (user(n), SequenceNumber(i64::from(n)))
    }

    /// What is thought of each refusal in a row of events: a digit is a user who is refused, `w` a write of somebody
    /// with the refused property, `n` one with another property.
    #[track_caller]
    fn check(about: About, events: &str, expected: &str) {
        let mut evidence = Evidence::new(3);
        let suspicion = Suspicion { kind: "400".into(), about };
        let mut judged = String::new();
        for event in events.chars() {
            let Some(number) = event.to_digit(10) else {
                let name = if event == 'w' { MAIL } else { NAME };
                let begun = evidence.begin(&[property(name)]);
                evidence.written(user(99), begun.place, &[property(name)]);
                continue;
            };
            let tried = evidence.begin(&[property(MAIL)]);
            judged.push(match evidence.refused(change(number), tried, &suspicion, &[property(MAIL)]) {
                Judgement::Own => 'o',
                Judgement::Unclear => '?',
                Judgement::Everybody => 'E',
                Judgement::Property => 'p',
            });
        }
        assert_eq!(judged, expected, "{about:?} {events}");
    }

    #[test]
    fn many_users_refused_alike_without_a_write_are_everybody() {
        for about in [About::Values, About::User] {
            check(about, "123", "??E");
            check(about, "111", "???");
            check(about, "12w34", "????");
            check(about, "12w345", "????E");
            check(about, "1w1", "?o");
            check(about, "123w3214", "??Eooo?");
        }
    }

    #[test]
    fn a_property_that_is_refused_of_everybody_is_told_apart_from_others_that_are_written() {
        check(About::Values, "123n4", "??Ep");
        check(About::Values, "12n3n4", "???p");
        check(About::Values, "123n4w5", "??Ep?");
        check(About::Values, "1n1w1", "??o");
        check(About::User, "123n4", "??E?");
    }

    #[test]
    fn a_denial_is_about_whom_the_others_show() {
        check(About::Denial, "1", "?");
        check(About::Denial, "11", "??");
        check(About::Denial, "12", "?E");
        check(About::Denial, "1w1", "?o");
        check(About::Denial, "1w2", "??");
        check(About::Denial, "1w12", "?o?");
        check(About::Denial, "12w12", "?Eoo");
    }

    #[test]
    fn an_answer_of_somebody_else_is_about_everybody_until_others_are_written() {
        check(About::Way, "1", "E");
        check(About::Way, "1w1", "Eo");
        check(About::Way, "12w2w1", "EEoo");
    }

    #[test]
    fn a_write_that_was_under_way_before_a_refusal_shows_nothing_about_it() {
        let mut evidence = Evidence::new(3);
        let suspicion = Suspicion { kind: "403".into(), about: About::Denial };
        let judge = |evidence: &mut Evidence, n, tried| evidence.refused(change(n), tried, &suspicion, &[]);
        let before = evidence.begin(&[]);
        let first = evidence.begin(&[]);
        assert_eq!(judge(&mut evidence, 1, first), Judgement::Unclear);
        evidence.written(user(2), before.place, &[]);
        let second = evidence.begin(&[]);
        assert_eq!(judge(&mut evidence, 1, second), Judgement::Unclear);
        // A write that is accepted while the refused one is under way may have come after the fault.
        let (third, after) = (evidence.begin(&[]), evidence.begin(&[]));
        evidence.written(user(2), after.place, &[]);
        assert_eq!(judge(&mut evidence, 1, third), Judgement::Unclear);
        let fourth = evidence.begin(&[]);
        assert_eq!(judge(&mut evidence, 1, fourth), Judgement::Own);
    }

    #[test]
    fn a_user_who_fails_while_others_are_written_fails_for_himself() {
        let mut evidence = Evidence::new(3);
        assert!(!evidence.fails(user(1)) && !evidence.fails(user(1)));
        let begun = evidence.begin(&[]).place;
        evidence.written(user(2), begun, &[]);
        assert!(evidence.fails(user(1)) && !evidence.fails(user(3)));
        evidence.written(user(1), begun, &[]);
        assert!(!evidence.fails(user(1)), "he was written himself");
    }
}
