//! What stands on a message beside its body: its own past, and what copies of it carry on.
//!
//! Whoever may send can write all of this into a message. So it is believed within bounds, and what a copy carries on is
//! what was believed, never what was read. What is left to gain by a forged past is to be tried less long, later or
//! with less patience, which the sender can have more cheaply by not sending; nobody else's message is touched:
//!
//! * a time that is after the message itself reached the queue counts as that time, so that no message is tried for
//!   ever; one from more than a year before it, or on a message that never came back, is none;
//! * counts are counts, far from where they would run over;
//! * the number of somebody else's message does not make it the same message, as the body counts as well, for
//!   [`Lineage`] and for the id of the copy: with detection of duplicates the queue would otherwise drop the copy of
//!   the one for that of the other.

mod aside;
mod census;
mod copies;
mod history;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    aside::{HeldAside, provenance},
    census::{HeldCensus, HeldCount},
    copies::{addressed, approved, copy, due, held_aside, posted, replayed},
    history::{DeliveryHistory, is_for_another, replayed_by},
};

/// How often the message has come back.
const ATTEMPT: &str = "contactsync-attempt";
/// When its original reached the queue, in milliseconds since 1970.
const FIRST_SEEN: &str = "contactsync-first-seen";
/// Sequence number of its original.
const SEQUENCE: &str = "contactsync-sequence";
/// Message-id of its original.
const ORIGINAL_ID: &str = "contactsync-original-id";
/// When the copy was to reach the queue, in milliseconds since 1970.
const DUE: &str = "contactsync-due";
/// Which run of `replay` put the message back.
pub(crate) const REPLAY_ID: &str = "contactsync-replay-id";
/// When it was put back, in milliseconds since 1970.
pub(crate) const REPLAYED_AT: &str = "contactsync-replayed-at";
/// How often it was put back.
const REPLAYS: &str = "contactsync-replays";
/// Its number among the dead letters, by which a replay recognizes what it put back.
const REPLAYED_SEQUENCE: &str = "contactsync-replayed-sequence";
/// Why it was among them.
const REPLAYED_REASON: &str = "contactsync-replayed-reason";
/// Since when it is held aside because its author changes too many users alike, in milliseconds since 1970.
const HELD_SINCE: &str = "contactsync-held-since";
/// For which streams it is held aside.
const HELD_FOR: &str = "contactsync-held-for";
/// That it was let through all the same, and with it the rest of which streams.
const APPROVED: &str = "contactsync-approved";
/// That the message was a dead letter, so that its values may be old: with `[dataverse]` the row is read first. What is forged
/// costs a read.
const FROM_DEAD_LETTER: &str = "contactsync-from-dead-letter";
/// Which of several targets the message is for. Not [`TARGET`]: that stands on dead letters, and whoever sends one again by
/// hand would address it to a target that nobody is, and the rules of all subscriptions would leave it out.
pub(crate) const FOR_TARGET: &str = "contactsync-for-target";

/// Why a message is a dead letter, by Service Bus's name.
pub(crate) const DEAD_LETTER_REASON: &str = "DeadLetterReason";
/// What happened to it.
pub(crate) const DEAD_LETTER_DESCRIPTION: &str = "DeadLetterErrorDescription";

/// Property of a dead letter: Graph's code, if Graph refused.
pub(crate) const CODE: &str = "contactsync-code";
/// Property of a dead letter: the property of the user that it is about, if one is to blame.
pub(crate) const TARGET: &str = "contactsync-target";
/// Property of a dead letter: the contacts that it is about.
pub(crate) const CONTACT: &str = "contactsync-contact";
/// Property of a dead letter: the users whom it means.
pub(crate) const USER: &str = "contactsync-user";
/// Property of a dead letter: the system job of Dataverse that posted it.
pub(crate) const JOB: &str = "contactsync-job";
