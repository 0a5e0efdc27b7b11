//! What we asked for, and what came of it: link by link, how many messages the other side may still send.
//!
//! The library keeps what comes beyond the credit until somebody looks at the link, and a message in pieces until its
//! last piece. Both would be without bound, so both directions are followed here.

use std::{collections::HashMap, sync::Weak};

use bytes::Bytes;

use super::{
    breach::{Breach, LONGEST_MESSAGE},
    performative::{Performative, code},
    shelf::{Shelf, Shelves},
};
use crate::amqp::scan::Encoded;

/// What a piece of a message counts at least, as it costs that much to keep; the smallest frames are as long.
const LEAST_PIECE: usize = 512;
/// Most messages that one disposition may be about; the library looks at each number of the range.
const WIDEST: u32 = 16 * 1024;
/// Longest performative of ours that is of interest here.
const LONGEST: usize = 64 * 1024;

/// Channel and handle.
type Place = (u16, u32);

/// All links on which we receive.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    shelves: Shelves,
    outgoing: Outgoing,
    /// Names of our ends of links, and of the other ends.
    ours: HashMap<Place, Box<str>>,
    theirs: HashMap<Place, Box<str>>,
    links: HashMap<Box<str>, Account>,
}

/// One link. Numbers of messages begin anywhere and go round.
#[derive(Debug, Default)]
struct Account {
    /// Messages sent so far.
    sent: u32,
    /// How many may have been sent, as far as we said.
    allowed: u32,
    /// The message that is on its way, if one is.
    pieces: Option<Pieces>,
    /// Whether the other end stands. It begins to count once.
    attached: bool,
    /// Where its messages wait.
    shelf: Weak<Shelf>,
}

/// What has come of a message.
#[derive(Debug, Default)]
struct Pieces {
    /// What it counts.
    weight: usize,
    bytes: Vec<Bytes>,
}

impl Account {
    fn allow(&mut self, allowed: u32) {
        if is_ahead(allowed, self.allowed) {
            self.allowed = allowed;
        }
    }
}

/// Whether a number that goes round is ahead of another.
fn is_ahead(number: u32, of: u32) -> bool {
    (number.wrapping_sub(of).cast_signed()) > 0
}

/// Places of fields.
mod field {
    pub(super) const ATTACH_NAME: usize = 0;
    pub(super) const ATTACH_HANDLE: usize = 1;
    pub(super) const ATTACH_ROLE: usize = 2;
    pub(super) const ATTACH_COUNT: usize = 9;
    pub(super) const FLOW_HANDLE: usize = 4;
    pub(super) const FLOW_COUNT: usize = 5;
    pub(super) const FLOW_CREDIT: usize = 6;
    pub(super) const TRANSFER_HANDLE: usize = 0;
    pub(super) const TRANSFER_MORE: usize = 5;
    pub(super) const TRANSFER_ABORTED: usize = 9;
    pub(super) const DISPOSITION_FIRST: usize = 1;
    pub(super) const DISPOSITION_LAST: usize = 2;
    pub(super) const DETACH_HANDLE: usize = 0;
}

impl Ledger {
    /// Nothing yet. Messages are kept on these shelves.
    pub(super) fn new(shelves: Shelves) -> Self {
        Self { shelves, ..Self::default() }
    }

    /// Enters a piece of a message, or says that it should not have come. The number of the message, if it is whole now.
    pub(super) fn transfer(&mut self, came: &Performative<'_>, piece: Bytes) -> Result<Option<u64>, Breach> {
        let (more, aborted) = (came.flag(field::TRANSFER_MORE), came.flag(field::TRANSFER_ABORTED));
        let place = came.number(field::TRANSFER_HANDLE).map(|handle| (came.channel, handle));
        let Some(account) = self.account(place) else { return Ok(None) };
        account.transfer(piece, more, aborted)
    }

    /// Enters what else came in, or says that it should not have come.
    pub(super) fn came(&mut self, came: &Performative<'_>) -> Result<(), Breach> {
        let place = |at| Some((came.channel, came.number(at)?));
        match came.code {
            code::ATTACH if !came.flag(field::ATTACH_ROLE) => {
                let name = came.field(field::ATTACH_NAME).and_then(Encoded::text);
                if let (Some(name), Some(place)) = (name, place(field::ATTACH_HANDLE))
                    && let Some(account) = self.links.get_mut(name).filter(|account| !account.attached)
                {
                    let sent = came.number(field::ATTACH_COUNT).unwrap_or_default();
                    account.begin(sent);
                    self.theirs.insert(place, name.into());
                }
            }
            code::FLOW => {
                let count = came.number(field::FLOW_COUNT);
                if let (Some(account), Some(count)) = (self.account(place(field::FLOW_HANDLE)), count)
                    && is_ahead(count, account.sent)
                {
                    // Credit that was given back.
                    account.sent = count;
                }
            }
            code::DISPOSITION => {
                let first = came.number(field::DISPOSITION_FIRST).unwrap_or_default();
                let last = came.number(field::DISPOSITION_LAST).unwrap_or(first);
                if last.saturating_sub(first) >= WIDEST {
                    return Err(Breach::Disposition(last - first));
                }
            }
            code::DETACH => {
                let name = place(field::DETACH_HANDLE).and_then(|place| self.theirs.remove(&place));
                if let Some(name) = name {
                    self.links.remove(&name);
                }
            }
            code::END => {
                for (_, name) in self.theirs.extract_if(|(channel, _), _| *channel == came.channel) {
                    self.links.remove(&name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn account(&mut self, place: Option<Place>) -> Option<&mut Account> {
        self.links.get_mut(self.theirs.get(&place?)?)
    }

    /// Enters what we sent, in pieces of any size.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(frame) = self.outgoing.next(&mut bytes) else { continue };
            let channel = u16::from_be_bytes([frame[6], frame[7]]);
            let Ok(sent) = Performative::of(channel, &frame[8..]) else { continue };
            self.went(&sent);
        }
    }

    fn went(&mut self, sent: &Performative<'_>) {
        let place = |at| Some((sent.channel, sent.number(at)?));
        match sent.code {
            code::ATTACH if sent.flag(field::ATTACH_ROLE) => {
                let name = sent.field(field::ATTACH_NAME).and_then(Encoded::text);
                if let (Some(name), Some(place)) = (name, place(field::ATTACH_HANDLE)) {
                    self.ours.insert(place, name.into());
                    let account = Account { shelf: self.shelves.of(name), ..Account::default() };
                    self.links.insert(name.into(), account);
                }
            }
            code::FLOW => {
                let name = place(field::FLOW_HANDLE).and_then(|place| self.ours.get(&place));
                if let Some(account) = name.and_then(|name| self.links.get_mut(name)) {
                    let count = sent.number(field::FLOW_COUNT).unwrap_or_default();
                    let credit = sent.number(field::FLOW_CREDIT).unwrap_or_default();
                    account.allow(count.wrapping_add(credit));
                }
            }
            // The other end may still send until it has answered.
            code::DETACH => {
                place(field::DETACH_HANDLE).and_then(|place| self.ours.remove(&place));
            }
            code::END => self.ours.retain(|(channel, _), _| *channel != sent.channel),
            _ => {}
        }
    }
}

impl Account {
    fn begin(&mut self, sent: u32) {
        (self.sent, self.allowed, self.attached) = (sent, sent, true);
    }

    fn transfer(&mut self, piece: Bytes, more: bool, aborted: bool) -> Result<Option<u64>, Breach> {
        if self.pieces.is_none() {
            if !is_ahead(self.allowed, self.sent) {
                return Err(Breach::Uncalled);
            }
            self.sent = self.sent.wrapping_add(1);
        }
        let mut message = self.pieces.take().unwrap_or_default();
        message.weight = message.weight.saturating_add(piece.len().max(LEAST_PIECE));
        if message.weight > LONGEST_MESSAGE {
            return Err(Breach::Endless);
        }
        if aborted {
            // The library does not count it either.
            self.sent = self.sent.wrapping_sub(1);
            return Ok(None);
        }
        message.bytes.push(piece);
        if more {
            self.pieces = Some(message);
            return Ok(None);
        }
        Ok(self.shelf.upgrade().map(|shelf| shelf.put(message.whole())))
    }
}

impl Pieces {
    /// The message. One frame is the rule and is taken over without a copy.
    fn whole(self) -> Bytes {
        match <[Bytes; 1]>::try_from(self.bytes) {
            Ok([whole]) => whole,
            Err(pieces) => pieces.concat().into(),
        }
    }
}

/// Cuts what we send into frames. Only the frames of interest are kept until they are whole.
#[derive(Debug, Default)]
struct Outgoing {
    frame: Vec<u8>,
    /// Bytes of the frame that are of no interest.
    skip: usize,
}

impl Outgoing {
    /// The next frame of interest, once it is whole.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        /// Head of a frame and descriptor of its performative.
        const FRONT: usize = 11;
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        let length = self.frame.first_chunk::<4>().map(|length| u32::from_be_bytes(*length));
        let length = length.and_then(|length| usize::try_from(length).ok());
        let wanted = match length {
            None => 4,
            Some(_) if self.frame.starts_with(b"AMQP") => 8,
            Some(length) if self.frame.len() < FRONT => length.min(FRONT),
            Some(length) => length,
        };
        let missing = wanted.saturating_sub(self.frame.len()).min(bytes.len());
        self.frame.extend_from_slice(&bytes[..missing]);
        *bytes = &bytes[missing..];
        if self.frame.len() < wanted || length.is_none() {
            return None;
        }
        let whole =
            length.is_some_and(|length| self.frame.len() >= length) || self.frame.starts_with(b"AMQP");
        if whole {
            let frame = std::mem::take(&mut self.frame);
            return (frame.len() > FRONT).then_some(frame);
        }
        if !is_of_interest(&self.frame) || length.is_some_and(|length| length > LONGEST) {
            self.skip = length.unwrap_or_default() - self.frame.len();
            self.frame.clear();
        }
        None
    }
}

fn is_of_interest(front: &[u8]) -> bool {
    let codes = [code::ATTACH, code::FLOW, code::DETACH, code::END];
    match front {
        [_, _, _, _, 2, 0, _, _, 0x00, 0x53, code, ..] => codes.contains(&u64::from(*code)),
        _ => false,
    }
}
