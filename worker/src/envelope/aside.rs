//! What stands on a message about being held aside: for which streams, since when, and whether it was let through.
//!
//! Whoever may send can write it too. To be held aside is to be seen and decided about by a person; to be let through is to be
//! written, as whatever else somebody sends. So neither gains anything that sending does not give already.

use jiff::Timestamp;
use servicebus::{ApplicationValue, Message};
use shared::{
    mass_change::{Author, ChangeKind, PriorDecision, Provenance, Stream},
    property::Property,
};

use super::{
    APPROVED, HELD_FOR, HELD_SINCE,
    history::{DeliveryHistory, replay_of, time},
};

/// Streams of one message that are read; more properties than that are never mapped.
const MOST: usize = 256;

/// Why and since when a message is held aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldAside {
    /// Since when.
    pub(crate) since: Timestamp,
    /// Who made its changes.
    pub(crate) author: Author,
    /// For which streams; none that another version has written in another way.
    pub(crate) streams: Box<[Stream]>,
}

impl HeldAside {
    /// Reads it off a copy that is held aside.
    #[must_use]
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let since = time(message, HELD_SINCE)?;
        if DeliveryHistory::of(message).attempt == 0 {
            return None;
        }
        let (author, streams) = read(message.properties.text(HELD_FOR).unwrap_or_default());
        Some(Self { since, author, streams })
    }

    /// What is to be written on the copy of a message that is held aside now. One that was before stays so since then.
    #[must_use]
    pub(crate) fn now(message: &Message, streams: &[Stream], now: Timestamp) -> Self {
        match (Self::of(message), streams.first()) {
            (Some(held), _) => held,
            (None, first) => Self {
                since: now,
                author: first.map_or(Author::Unknown, |stream| stream.author),
                streams: streams.into(),
            },
        }
    }

    /// The properties that say so.
    pub(super) fn properties(&self) -> [(&'static str, ApplicationValue); 2] {
        [
            (HELD_SINCE, ApplicationValue::I64(self.since.as_millisecond())),
            (HELD_FOR, written(self.author, &self.streams)),
        ]
    }
}

/// Where a message comes from: the author that its contents name, or else the run that put it here; and what was decided
/// about it. `now` is when it was received.
#[must_use]
pub(crate) fn provenance(message: &Message, named: Option<uuid::Uuid>, now: Timestamp) -> Provenance {
    let named = named.filter(|user| !user.is_nil()).map(Author::User);
    let author = named.or_else(|| replay_of(message).map(Author::Run)).unwrap_or(Author::Unknown);
    let standing = match HeldAside::of(message) {
        Some(held) => PriorDecision::HeldAside(held.streams),
        None => approval(message, now).unwrap_or_default(),
    };
    Provenance { author, standing }
}

/// Whether a message was let through.
fn approval(message: &Message, now: Timestamp) -> Option<PriorDecision> {
    let text = message.properties.text(APPROVED)?;
    if replay_of(message).is_none() || DeliveryHistory::of(message).generation == 0 {
        return None;
    }
    Some(PriorDecision::Approved { at: message.enqueued.unwrap_or(now), streams: read(text).1 })
}

/// The text of streams of one author.
pub(super) fn written(author: Author, streams: &[Stream]) -> ApplicationValue {
    let of = |stream: &Stream| format!("{}={}", stream.property, stream.kind.as_str());
    let streams: Vec<_> = streams.iter().take(MOST).map(of).collect();
    ApplicationValue::from(&*format!("{author} {}", streams.join(",")))
}

/// Reads it again. What is not understood is left out.
fn read(text: &str) -> (Author, Box<[Stream]>) {
    let (author, streams) = text.split_once(' ').unwrap_or((text, ""));
    let author = Author::parse(author).unwrap_or(Author::Unknown);
    let stream = |text: &str| {
        let (property, kind) = text.split_once('=')?;
        let kind = ChangeKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(Stream { author, property: Property::named(property)?, kind })
    };
    (author, streams.split(',').take(MOST).filter_map(stream).collect())
}
