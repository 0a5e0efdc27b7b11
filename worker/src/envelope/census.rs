//! What a look through a queue shows to be held aside, counted by stream.

use std::collections::BTreeMap;

use jiff::Timestamp;
use servicebus::{Message, Peeked, PeekedState};
use shared::mass_change::{HeldStream, Stream};

use super::{DeliveryHistory, HeldAside};

/// Messages that are held aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldCensus {
    /// All of them.
    pub(crate) messages: u64,
    /// By stream; a message can be of several.
    pub(crate) streams: BTreeMap<Stream, HeldCount>,
}

/// Those of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldCount {
    /// How many.
    pub(crate) messages: u64,
    /// Since when the first of them is held.
    pub(crate) since: Timestamp,
    /// When the originals reached the queue, the first and the last.
    pub(crate) originals: (Timestamp, Timestamp),
}

impl HeldCensus {
    /// Why a message in the queue is held aside, if it waits for a decision.
    #[must_use]
    pub(crate) fn held(peeked: &Peeked) -> Option<HeldAside> {
        HeldAside::of(&peeked.message).filter(|_| peeked.state == PeekedState::Scheduled)
    }

    /// Counts a message.
    pub(crate) fn add(&mut self, message: &Message, held: &HeldAside) {
        let original = DeliveryHistory::of(message).first_seen.unwrap_or(held.since);
        self.count(&held.streams, held.since, original);
    }

    /// The same by what is known of it.
    pub(crate) fn count(&mut self, streams: &[Stream], since: Timestamp, original: Timestamp) {
        self.messages += 1;
        for stream in streams {
            let none = HeldCount { messages: 0, since, originals: (original, original) };
            let count = self.streams.entry(stream.clone()).or_insert(none);
            let (first, last) = count.originals;
            *count = HeldCount {
                messages: count.messages + 1,
                since: count.since.min(since),
                originals: (first.min(original), last.max(original)),
            };
        }
    }

    /// Adds what another look, or somebody else, has counted.
    pub(crate) fn join(&mut self, other: Self) {
        self.messages += other.messages;
        for (stream, more) in other.streams {
            let count = self.streams.entry(stream).or_insert(HeldCount { messages: 0, ..more });
            let (one, two) = (count.originals, more.originals);
            *count = HeldCount {
                messages: count.messages + more.messages,
                since: count.since.min(more.since),
                originals: (one.0.min(two.0), one.1.max(two.1)),
            };
        }
    }

    /// The streams, as the engine is told of them.
    pub(crate) fn held_streams(&self) -> impl Iterator<Item = HeldStream> {
        self.streams.iter().map(|(stream, count)| HeldStream {
            stream: stream.clone(),
            since: count.originals.0,
            last: count.originals.1,
        })
    }
}
