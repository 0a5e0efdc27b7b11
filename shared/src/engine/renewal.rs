//! The locks that are held: what is held under each, and when it is renewed.
//!
//! A renewal is planned from the time at which the lock was taken or last extended, and from the length that locks have
//! as far as is known. Both are the caller's monotonic time; no wall clock has a say in it. Most messages are settled
//! before their first renewal, so there is no order to keep up: who is due is looked for when somebody can be.

use std::{ops::Range, time::Duration};

use crate::{
    ids::{IdMap, LockToken},
    monotonic_time::MonotonicTime,
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

/// The shortest lock that a queue can have, which locks are taken for until more is known: renewing too often costs a
/// few requests, too late costs the lock.
const SHORTEST: Duration = Duration::from_secs(5);

/// Locks, and what is held under them.
#[derive(Debug)]
pub struct Locks<T> {
    held: IdMap<LockToken, Lock<T>>,
    /// How long a lock holds.
    length: Duration,
    /// No renewal is due before this time.
    next: Option<MonotonicTime>,
    /// When the request that is under way was begun; there is one at a time.
    asked: Option<MonotonicTime>,
    /// Whether a renewal of the last request failed.
    failing: bool,
}

#[derive(Debug)]
struct Lock<T> {
    /// When it was taken or last extended.
    since: MonotonicTime,
    /// At which part of its length it is renewed.
    part: f64,
    /// When it is renewed next; never, once it is lost.
    due: Option<MonotonicTime>,
    under: T,
}

impl<T> Default for Locks<T> {
    /// None are held.
    fn default() -> Self {
        Self { held: IdMap::default(), length: SHORTEST, next: None, asked: None, failing: false }
    }
}

impl<T> Locks<T> {
    /// A lock was taken at that time. `jitter` is drawn evenly from 0 to 1.
    pub fn hold(&mut self, lock: LockToken, since: MonotonicTime, jitter: f64, under: T) {
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

    /// All locks with what is held under them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (LockToken, &T)> {
        self.held.iter().map(|(lock, held)| (*lock, &held.under))
    }

    /// The same, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (LockToken, &mut T)> {
        self.held.iter_mut().map(|(lock, held)| (*lock, &mut held.under))
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
    /// way. Whoever gets some reports them with [`Locks::renewed`].
    pub fn due(&mut self, now: MonotonicTime) -> Vec<LockToken> {
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
    pub fn next_due(&self) -> Option<MonotonicTime> {
        self.next.filter(|_| self.asked.is_none())
    }

    /// Whether renewals fail: nobody knows whether a lock that is taken now can be kept beyond its own time.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// The request that was under way is answered. Returns the locks that are held and turned out to be lost; they are
    /// renewed no more.
    pub fn renewed(
        &mut self,
        answers: impl IntoIterator<Item = (LockToken, Renewal)>,
        now: MonotonicTime,
    ) -> Vec<LockToken> {
        let since = self.asked.take().unwrap_or(now);
        let (mut lost, mut failing) = (Vec::new(), false);
        for (lock, answer) in answers {
            failing |= answer == Renewal::Failed;
            let Some(held) = self.held.get_mut(&lock) else { continue };
            match answer {
                Renewal::Renewed => {
                    // Extended at some moment between request and answer.
                    held.since = since;
                    held.due = Some(since + self.length.mul_f64(held.part));
                }
                Renewal::Failed => held.due = Some(now + SOON),
                Renewal::Lost => {
                    held.due = None;
                    lost.push(lock);
                }
            }
        }
        self.failing = failing;
        self.next = self.first();
        lost
    }

    fn first(&self) -> Option<MonotonicTime> {
        self.held.values().filter_map(|lock| lock.due).min()
    }

    fn plan(&mut self, due: MonotonicTime) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn lock(number: u128) -> LockToken {
        LockToken(Uuid::from_u128(number))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A queue whose locks hold for a time that is not known at first.
    struct Queue {
        truth: Duration,
        until: IdMap<LockToken, MonotonicTime>,
        requests: usize,
        /// Parts of their time after which locks were renewed.
        parts: Vec<f64>,
        lost: usize,
    }

    impl Queue {
        fn renew(&mut self, due: Vec<LockToken>, now: MonotonicTime) -> Vec<(LockToken, Renewal)> {
            self.requests += 1;
            let renew = |lock: LockToken| {
                let Some(until) = self.until.get_mut(&lock).filter(|until| **until > now) else {
                    return (lock, Renewal::Lost);
                };
                self.parts.push(1.0 - (*until - now).as_secs_f64() / self.truth.as_secs_f64());
                *until = now + self.truth;
                (lock, Renewal::Renewed)
            };
            due.into_iter().map(renew).collect()
        }
    }

    /// Holds so many locks for five of their lengths, the length becoming known after `late`; it is asked for once a
    /// second.
    fn hold(count: u32, truth: u64, guess: u64, late: u64) -> Queue {
        let (truth, start) = (seconds(truth), MonotonicTime::START + seconds(100));
        let mut queue = Queue { truth, until: IdMap::default(), requests: 0, parts: Vec::new(), lost: 0 };
        let mut locks = Locks::default();
        locks.learn(seconds(guess));
        for number in 0..count {
            let lock = lock(number.into());
            locks.hold(lock, start, f64::from(number) / f64::from(count), ());
            queue.until.insert(lock, start + truth);
        }
        let (mut now, end) = (start, start + truth * 5);
        while now < end {
            if now >= start + seconds(late) {
                locks.learn(truth);
            }
            loop {
                let due = locks.due(now);
                if due.is_empty() {
                    break;
                }
                let answers = queue.renew(due, now);
                queue.lost += locks.renewed(answers, now).len();
            }
            let next = locks.next_due().expect("locks are held");
            assert!(next > now, "it says when it has something to do");
            now = next.min(now + seconds(1));
        }
        queue
    }

    #[test]
    fn locks_are_renewed_about_half_way_and_in_few_requests() {
        for length in [5, 30, 60, 300] {
            let Queue { lost, requests, parts, .. } = hold(500, length, length, 0);
            assert_eq!(lost, 0, "of {length} s");
            // What is nearly due goes along with what is due, and so may come a little early.
            let range = PART.start - 0.11..PART.end + 0.01;
            assert!(parts.iter().all(|part| range.contains(part)), "of {length} s: {parts:?}");
            // Each of the 500 about ten times, up to a hundred at once.
            assert!(requests <= 150, "of {length} s: {requests} requests");
        }
    }

    #[test]
    fn a_length_that_becomes_known_late_still_keeps_locks_that_were_taken_before() {
        for (truth, guess) in [(5, 300), (5, 60), (30, 300), (60, 5), (300, 5)] {
            let Queue { lost, parts, .. } = hold(100, truth, guess, 1);
            assert_eq!(lost, 0, "{truth} s taken for {guess} s");
            assert!(!parts.is_empty());
        }
    }

    #[test]
    fn a_lock_that_was_released_is_renewed_no_more() {
        let mut locks = Locks::default();
        locks.hold(lock(1), MonotonicTime::START, 0.5, "a message");
        assert_eq!(locks.release(lock(1)), Some("a message"));
        assert_eq!(locks.due(MonotonicTime::START + seconds(10)), []);
        locks.hold(lock(2), MonotonicTime::START, 0.5, "another one");
        let now = MonotonicTime::START + seconds(3);
        assert_eq!(locks.due(now), [lock(2)]);
        locks.release(lock(2));
        assert_eq!(locks.renewed([(lock(2), Renewal::Lost)], now), [], "it is not held any more");
        assert_eq!((locks.due(now + seconds(9)), locks.next_due()), (vec![], None));
    }

    #[test]
    fn one_request_is_under_way_at_a_time_and_what_failed_is_asked_for_soon() {
        let mut locks = Locks::default();
        let at = |millis| MonotonicTime::START + Duration::from_millis(millis);
        for number in 1..=3 {
            locks.hold(lock(number), at(0), 0.5, number);
        }
        assert_eq!((locks.due(at(2_499)), locks.next_due()), (vec![], Some(at(2_500))));
        assert_eq!(locks.due(at(2_500)).len(), 3);
        assert_eq!((locks.due(at(4_000)), locks.next_due()), (vec![], None), "the answer is not there");
        let answers = [(lock(1), Renewal::Renewed), (lock(2), Renewal::Failed), (lock(3), Renewal::Lost)];
        assert_eq!(locks.renewed(answers, at(4_000)), [lock(3)]);
        assert_eq!((locks.get(lock(3)), locks.next_due()), (Some(&3), Some(at(4_500))));
        assert_eq!(locks.due(at(4_500)), [lock(2), lock(1)], "what is nearly due goes along");
        locks.renewed([(lock(2), Renewal::Renewed), (lock(1), Renewal::Renewed)], at(4_600));
        assert_eq!(locks.next_due(), Some(at(7_000)), "they hold since they were asked for");
    }
}
