//! The locks that are held: what is held under each, and when it is renewed.
//!
//! A renewal is planned from the time at which the lock was taken or last extended, and from the length that locks have
//! as far as is known. Both are the caller's monotonic time; no wall clock has a say in it. Most messages are settled
//! before their first renewal, so there is no order to keep up: who is due is looked for when somebody can be.

use std::{ops::Range, time::Duration};

use crate::{
    ids::{IdMap, LockToken},
    moment::Moment,
};

/// Tokens renewed in one request.
const BATCH: usize = 100;
/// A renewal that failed is tried again after this time, and nothing is renewed more often, however short locks are.
const SOON: Duration = Duration::from_millis(500);
/// What is due within this part of a lock's length goes along with what is due now; it saves requests.
const ALONG: u32 = 10;
/// A change of the length by less than this part moves no renewal.
const NOTABLE: u32 = 10;
/// The part of its length after which a lock is renewed. Jittered, so that locks taken together are not renewed
/// together.
const PART: Range<f64> = 0.4..0.6;

/// How the renewal of one lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lock holds on.
    Renewed,
    /// It is gone, and the message under it comes again.
    Lost,
    /// Nobody knows; it is tried again.
    Failed,
}

/// Locks, and what is held under them.
#[derive(Debug)]
pub struct Locks<T> {
    held: IdMap<LockToken, Lock<T>>,
    /// How long a lock holds.
    length: Duration,
    /// No renewal is due before this time.
    next: Option<Moment>,
    /// When the request that is under way was begun; there is one at a time.
    asked: Option<Moment>,
}

#[derive(Debug)]
struct Lock<T> {
    /// When it was taken or last extended.
    since: Moment,
    /// At which part of its length it is renewed.
    part: f64,
    /// When it is renewed next; never, once it is lost.
    due: Option<Moment>,
    under: T,
}

impl<T> Locks<T> {
    /// None are held. Locks are taken to hold for this long until more is known.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self { held: IdMap::default(), length: length.max(SOON), next: None, asked: None }
    }

    /// A lock was taken at that time. `jitter` is drawn evenly from 0 to 1.
    pub fn hold(&mut self, lock: LockToken, since: Moment, jitter: f64, under: T) {
        let part = PART.start + (PART.end - PART.start) * jitter.clamp(0.0, 1.0);
        let due = since + self.length.mul_f64(part);
        self.held.insert(lock, Lock { since, part, due: Some(due), under });
        self.plan(due);
    }

    /// The message under it is settled, or given up: it is renewed no more, even if a renewal is under way.
    pub fn release(&mut self, lock: LockToken) -> Option<T> {
        self.held.remove(&lock).map(|lock| lock.under)
    }

    /// What is held under a lock.
    #[must_use]
    pub fn get(&self, lock: LockToken) -> Option<&T> {
        self.held.get(&lock).map(|lock| &lock.under)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, lock: LockToken) -> Option<&mut T> {
        self.held.get_mut(&lock).map(|lock| &mut lock.under)
    }

    /// Everything that is held, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (LockToken, &T)> {
        self.held.iter().map(|(lock, held)| (*lock, &held.under))
    }

    /// How many locks are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How long locks hold has become known better. All renewals are planned anew if it differs notably.
    pub fn learn(&mut self, length: Duration) {
        let length = length.max(SOON);
        if length.abs_diff(self.length) <= self.length / NOTABLE {
            return;
        }
        self.length = length;
        for lock in self.held.values_mut().filter(|lock| lock.due.is_some()) {
            lock.due = Some(lock.since + length.mul_f64(lock.part));
        }
        self.next = self.first();
    }

    /// The locks to renew now in one request, and then also those that will be due soon; none while a request is under
    /// way. Whoever gets some reports each with [`Locks::ended`], and then [`Locks::answered`].
    pub fn due(&mut self, now: Moment) -> Vec<LockToken> {
        if self.asked.is_some() || self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        // What it was planned for may have been released since.
        self.next = self.first();
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let horizon = now + self.length / ALONG;
        let planned = self.held.iter().filter_map(|(lock, held)| Some((held.due?, *lock)));
        let mut due: Vec<_> = planned.filter(|(due, _)| *due <= horizon).collect();
        due.sort_unstable();
        due.truncate(BATCH);
        self.asked = Some(now);
        due.into_iter().map(|(_, lock)| lock).collect()
    }

    /// When to ask for [`Locks::due`] next, if nothing happens before.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.next.filter(|_| self.asked.is_none())
    }

    /// The renewal of this lock ended. Tells whether that shows that a lock which is held was lost.
    pub fn ended(&mut self, lock: LockToken, how: Renewal, now: Moment) -> bool {
        let (length, asked) = (self.length, self.asked.unwrap_or(now));
        let Some(held) = self.held.get_mut(&lock) else { return false };
        match how {
            Renewal::Renewed => {
                // Extended at some moment between request and answer.
                held.since = asked;
                held.due = Some(asked + length.mul_f64(held.part));
            }
            Renewal::Failed => held.due = Some(now + SOON),
            Renewal::Lost => held.due = None,
        }
        how == Renewal::Lost
    }

    /// The request that was under way has been answered.
    pub fn answered(&mut self) {
        self.asked = None;
        self.next = self.first();
    }

    fn first(&self) -> Option<Moment> {
        self.held.values().filter_map(|lock| lock.due).min()
    }

    fn plan(&mut self, due: Moment) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }
}
