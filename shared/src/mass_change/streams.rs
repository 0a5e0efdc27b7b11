//! Which streams are held, since when and until when, and which were let through.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::stream::Stream;

/// Streams that are known to be held, and approvals that are known. Each takes as many users as the threshold says, so nobody
/// has as many of them.
const MOST: usize = 1_000;

/// A stream that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldStream {
    /// It.
    pub stream: Stream,
    /// When the first original that is held reached the queue.
    pub since: Timestamp,
    /// When the last one did.
    pub last: Timestamp,
}

/// What is known of it.
#[derive(Clone, Copy, Debug)]
struct Known {
    since: Timestamp,
    last: Timestamp,
    /// Whether copies of it are in the queue, as far as is known.
    waits: bool,
    /// When it was held last, by [`Streams::mark`].
    mark: u64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Streams {
    window: SignedDuration,
    held: BTreeMap<Stream, Known>,
    /// Until when further changes of a stream are let through.
    approved: BTreeMap<Stream, Timestamp>,
    mark: u64,
}

impl Streams {
    pub(super) fn new(window: Duration) -> Self {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        Self { window, held: BTreeMap::new(), approved: BTreeMap::new(), mark: 0 }
    }

    /// Whether a change is held because its stream is. It is while copies wait for a decision, and until nothing of it has come
    /// for the length of the window; what was made long before it is none of it.
    pub(super) fn is_held(&mut self, stream: &Stream, at: Timestamp) -> bool {
        let Some(known) = self.held.get(stream) else { return false };
        if at < self.before(known.since) {
            return false;
        }
        let is_over = !known.waits && at > self.after(known.last);
        if is_over {
            self.held.remove(stream);
        }
        !is_over
    }

    /// A change of it is held.
    pub(super) fn hold(&mut self, stream: &Stream, at: Timestamp) {
        self.mark += 1;
        let mark = self.mark;
        self.insert(HeldStream { stream: stream.clone(), since: at, last: at }, mark);
    }

    /// Somebody has let it through, with an approved copy that reached the queue then.
    pub(super) fn approve(&mut self, stream: &Stream, at: Timestamp) {
        self.held.remove(stream);
        let until = self.after(at);
        let known = self.approved.entry(stream.clone()).or_insert(until);
        *known = until.max(*known);
        if self.approved.len() > MOST {
            let first = self.approved.iter().min_by_key(|(_, until)| **until);
            if let Some(first) = first.map(|(stream, _)| stream.clone()) {
                self.approved.remove(&first);
            }
        }
    }

    /// Whether it was let through until then.
    pub(super) fn is_approved(&self, stream: &Stream, at: Timestamp) -> bool {
        self.approved.get(stream).is_some_and(|until| at <= *until)
    }

    /// The present mark.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// What was seen in a part of the queue.
    pub(super) fn seen(&mut self, seen: impl IntoIterator<Item = HeldStream>) {
        for held in seen {
            // The copies that are there may be what is left of an approval that is still being carried out.
            if !self.is_approved(&held.stream, held.last) {
                self.insert(held, 0);
            }
        }
    }

    /// What a look at the whole queue found that began at this mark. Of a stream that it did not find, nothing waits any more,
    /// unless something was held since.
    pub(super) fn found(&mut self, found: impl IntoIterator<Item = HeldStream>, mark: u64) {
        let found: Vec<_> = found.into_iter().collect();
        let there: BTreeSet<_> = found.iter().map(|held| held.stream.clone()).collect();
        self.seen(found);
        for (stream, known) in &mut self.held {
            known.waits = known.mark > mark || there.contains(stream);
        }
    }

    /// All that are held.
    pub(super) fn all(&self) -> impl Iterator<Item = HeldStream> {
        self.held.iter().map(|(stream, known)| HeldStream {
            stream: stream.clone(),
            since: known.since,
            last: known.last,
        })
    }

    fn insert(&mut self, held: HeldStream, mark: u64) {
        let HeldStream { stream, since, last } = held;
        let known = self.held.entry(stream).or_insert(Known { since, last, waits: true, mark });
        *known = Known {
            since: since.min(known.since),
            last: last.max(known.last),
            waits: true,
            mark: mark.max(known.mark),
        };
        if self.held.len() > MOST {
            let first = self.held.iter().min_by_key(|(_, known)| (known.waits, known.last));
            if let Some(first) = first.map(|(stream, _)| stream.clone()) {
                self.held.remove(&first);
            }
        }
    }

    fn after(&self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.window).unwrap_or(Timestamp::MAX)
    }

    fn before(&self, at: Timestamp) -> Timestamp {
        at.saturating_sub(self.window).unwrap_or(Timestamp::MIN)
    }
}
