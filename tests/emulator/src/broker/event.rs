//! What happened to messages, in order; the journal keeps it for tests.

use std::sync::Arc;

use bytes::Bytes;

use super::{Holder, Place, Sequence, Time};

/// One thing that happened in the broker.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A message was stored.
    Enqueued {
        /// Where.
        place: Place,
        /// Under which number.
        sequence: Sequence,
        /// Its message id.
        message_id: Arc<str>,
    },
    /// A message was accepted and dropped because its id was seen before.
    DuplicateDropped {
        /// Where.
        place: Place,
        /// The id that was seen before.
        message_id: Arc<str>,
    },
    /// A message was stored to appear later.
    Scheduled {
        /// Where.
        place: Place,
        /// Under which number.
        sequence: Sequence,
    },
    /// A scheduled message was taken back.
    Cancelled {
        /// Where.
        place: Place,
        /// Its number.
        sequence: Sequence,
    },
    /// A message was handed out.
    Delivered {
        /// Where.
        place: Place,
        /// Its number.
        sequence: Sequence,
        /// Failed deliveries before this one.
        delivery_count: u32,
        /// Whether it was locked (otherwise it is gone).
        locked: bool,
    },
    /// A delivery was settled.
    Settled {
        /// Where.
        place: Place,
        /// Its number.
        sequence: Sequence,
        /// How.
        how: Settled,
    },
    /// A settlement or renewal came too late.
    LockLost {
        /// Where.
        place: Place,
    },
    /// A lock was renewed.
    Renewed {
        /// Where.
        place: Place,
        /// The message's number.
        sequence: Sequence,
    },
    /// A lock lapsed.
    LockLapsed {
        /// Where.
        place: Place,
        /// The message's number.
        sequence: Sequence,
        /// Failed deliveries, this one included.
        delivery_count: u32,
    },
    /// A message outlived its time and was dropped.
    Expired {
        /// Where.
        place: Place,
        /// Its number.
        sequence: Sequence,
    },
    /// A message went to the dead-letter sub-queue.
    DeadLettered {
        /// Where it was.
        place: Place,
        /// The number it had there.
        sequence: Sequence,
        /// The reason stored with it.
        reason: Arc<str>,
    },
    /// A session was taken.
    SessionAccepted {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// By which link.
        holder: Holder,
        /// Until when it is locked now.
        until: Time,
    },
    /// A session was asked for that another link holds.
    SessionRefused {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// Which link asked.
        holder: Holder,
        /// Which link holds it.
        held_by: Holder,
    },
    /// The lock of a session was renewed.
    SessionRenewed {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// By which link.
        holder: Holder,
        /// Until when it is locked now.
        until: Time,
    },
    /// A session was given up: its link, or what carried the link, has ended.
    SessionReleased {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// By which link.
        holder: Holder,
    },
    /// The lock of a session lapsed.
    SessionLapsed {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// Which link held it.
        holder: Holder,
    },
    /// A session was taken from the link that held it, which does not know.
    SessionFreed {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// Which link held it.
        holder: Holder,
    },
    /// The state of a session was set.
    SessionStateSet {
        /// Where.
        place: Place,
        /// Which.
        session: Arc<str>,
        /// By which link.
        holder: Holder,
        /// What it is now.
        state: Option<Bytes>,
    },
}

/// How a delivery was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Removed.
    Completed,
    /// Given back, counted as a failed delivery.
    Abandoned,
    /// Given back, not counted.
    Released,
    /// Set aside.
    Deferred,
    /// Moved to the dead-letter sub-queue by the receiver.
    DeadLettered,
}
