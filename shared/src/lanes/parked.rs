//! Refused changes that wait to learn whose fault it is: perhaps their own once somebody else is written, everybody's if
//! many are refused alike. A lone refusal waits for as long as the limits say, because where nothing else happens
//! nothing will ever tell.

use std::collections::VecDeque;

use super::{Work, api::Suspicion, evidence::Start};
use crate::{ids::UserId, monotonic_time::MonotonicTime, property::Property, reason::DeadLetter};

/// One of them.
#[derive(Debug)]
pub(super) struct Refused<T> {
    pub(super) work: Work<T>,
    pub(super) letter: DeadLetter,
    pub(super) suspicion: Suspicion,
    /// Properties that may be to blame and have not been accepted of anybody since.
    pub(super) suspects: Vec<Property>,
    /// What was begun later tells about it.
    pub(super) since: Start,
    /// Until when it waits.
    pub(super) until: MonotonicTime,
}

/// All of them, in the order in which they were refused.
#[derive(Debug)]
pub(super) struct Parked<T>(VecDeque<Refused<T>>);

impl<T> Default for Parked<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Parked<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patience is the same for all, so the one that was refused last waits longest.
    pub(super) fn park(&mut self, refused: Refused<T>) {
        self.0.push_back(refused);
    }

    /// When the patience with one of them ends.
    pub(super) fn next_due(&self) -> Option<MonotonicTime> {
        self.0.front().map(|refused| refused.until)
    }

    /// One with which the patience has ended.
    pub(super) fn due(&mut self, now: MonotonicTime) -> Option<Refused<T>> {
        self.0.pop_front_if(|refused| refused.until <= now)
    }

    /// A write of this user with these properties was accepted. Returns those that it tells something about.
    pub(super) fn written(&mut self, user: UserId, begun: Start, properties: &[Property]) -> Vec<Refused<T>> {
        let cleared = |refused: &mut Refused<T>| {
            if refused.since >= begun {
                return false;
            }
            refused.suspects.retain(|suspect| !properties.contains(suspect));
            refused.suspects.is_empty() && (refused.work.user != user || refused.suspicion.is_about_values())
        };
        self.take(cleared)
    }

    /// All that are refused like this one.
    pub(super) fn alike(&mut self, suspicion: &Suspicion) -> Vec<Refused<T>> {
        self.take(|refused| refused.suspicion == *suspicion)
    }

    /// All of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Work<T>> {
        self.0.drain(..).map(|refused| refused.work)
    }

    /// Removes what waits under such a ticket.
    pub(super) fn withdraw(&mut self, user: UserId, is: impl Fn(&T) -> bool) -> Vec<Work<T>> {
        let withdrawn = self.take(|refused| refused.work.user == user && is(&refused.work.ticket));
        withdrawn.into_iter().map(|refused| refused.work).collect()
    }

    fn take(&mut self, which: impl FnMut(&mut Refused<T>) -> bool) -> Vec<Refused<T>> {
        let mut which = which;
        let (mut taken, mut kept) = (Vec::new(), VecDeque::with_capacity(self.0.len()));
        for mut refused in self.0.drain(..) {
            if which(&mut refused) { taken.push(refused) } else { kept.push_back(refused) }
        }
        self.0 = kept;
        taken
    }
}
