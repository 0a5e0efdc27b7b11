//! One frame: its head, its performative, and what it carries.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::performatives::Transfer;

use super::ledger::Ledger;
use super::{Breach, LARGEST_FRAME};
use crate::bus::amqp::scan::{Encoded, check, described, split};
use crate::bus::message::Damage;

/// Bytes before the body: length, offset, type, channel.
const HEAD: usize = 8;
/// A frame of the protocol proper; the others are of SASL.
const AMQP: u8 = 0;
/// What a wrapped piece of a message begins with, before its length: a section of bytes.
const WRAPPING: [u8; 4] = [0x00, 0x53, 0x75, 0xb0];

/// The performatives that matter here.
pub(super) mod code {
    pub(crate) const ATTACH: u64 = 0x12;
    pub(crate) const FLOW: u64 = 0x13;
    pub(crate) const TRANSFER: u64 = 0x14;
    pub(crate) const DISPOSITION: u64 = 0x15;
    pub(crate) const DETACH: u64 = 0x16;
    pub(crate) const END: u64 = 0x17;
}

/// The length of a frame, if there can be such a frame.
pub(super) fn size(length: [u8; 4]) -> Result<usize, Breach> {
    let length = u32::from_be_bytes(length);
    let fits = (8..=LARGEST_FRAME).contains(&length);
    usize::try_from(length).ok().filter(|_| fits).ok_or(Breach::Size(length))
}

/// A whole frame, whose body nobody has looked at.
pub(super) struct Frame {
    kind: u8,
    channel: u16,
    body: BytesMut,
}

/// A performative: its code, and its fields.
pub(super) struct Performative<'a> {
    pub(super) channel: u16,
    pub(super) code: u64,
    fields: Encoded<'a>,
}

impl<'a> Performative<'a> {
    /// Reads what stands at the front of a body.
    pub(super) fn of(channel: u16, body: &'a [u8]) -> Result<Self, Damage> {
        let (descriptor, mut fields) = described(&mut &*body)?;
        let fields = split(&mut fields)?;
        // Of performatives that are named by a symbol the library knows all, and we none; so they are none.
        let code = descriptor.unsigned().filter(|_| fields.is_list()).ok_or(Damage::Constructor)?;
        Ok(Self { channel, code, fields })
    }

    /// The field at a place; nothing if it is left out.
    pub(super) fn field(&self, at: usize) -> Option<Encoded<'a>> {
        self.fields.items().nth(at).filter(|value| !value.is_null())
    }

    pub(super) fn number(&self, at: usize) -> Option<u32> {
        u32::try_from(self.field(at)?.unsigned()?).ok()
    }

    pub(super) fn flag(&self, at: usize) -> bool {
        self.field(at).and_then(Encoded::bool).unwrap_or(false)
    }
}

impl Frame {
    /// Cuts the next whole frame off, if there is one.
    pub(super) fn cut(incoming: &mut BytesMut) -> Result<Option<Self>, Breach> {
        let Some(length) = incoming.first_chunk::<4>() else { return Ok(None) };
        let size = size(*length)?;
        if incoming.len() < size {
            return Ok(None);
        }
        let mut body = incoming.split_to(size);
        let offset = usize::from(body[4]) * 4;
        if !(HEAD..=size).contains(&offset) {
            return Err(Breach::Offset(offset));
        }
        let (kind, channel) = (body[5], u16::from_be_bytes([body[6], body[7]]));
        // What stands between head and body is for extensions, of which there are none.
        Ok(Some(Self { kind, channel, body: body.split_off(offset) }))
    }

    /// Lets the frame pass if it is sound and was asked for.
    pub(super) fn pass(mut self, ledger: &mut Ledger, passed: &mut VecDeque<Bytes>) -> Result<(), Breach> {
        if self.body.is_empty() {
            self.write(&[], None, passed);
            return Ok(());
        }
        let length = check(&self.body).map_err(Breach::Damaged)?;
        let payload = self.body.split_off(length).freeze();
        if self.kind != AMQP {
            self.write(&self.body, None, passed);
            return Ok(());
        }
        let performative = Performative::of(self.channel, &self.body).map_err(Breach::Damaged)?;
        ledger.came(&performative, payload.len())?;
        match performative.code {
            code::TRANSFER => self.carry(payload, passed),
            code::ATTACH => {
                let limit = limit(&performative, &self.body);
                if let Some(at) = limit {
                    self.body[at..at + 8].fill(0xff);
                }
                self.write(&self.body, None, passed);
            }
            _ => self.write(&self.body, None, passed),
        }
        Ok(())
    }

    /// Lets a piece of a message pass, in its wrapping. What does not fit into one frame then is cut in two.
    fn carry(&self, payload: Bytes, passed: &mut VecDeque<Bytes>) {
        let room = usize::try_from(LARGEST_FRAME).unwrap_or(usize::MAX);
        let wrapped = HEAD + self.body.len() + WRAPPING.len() + 4 + payload.len();
        if wrapped > room
            && let Ok(transfer) = serde_amqp::from_slice::<Transfer>(&self.body)
            && let Ok(first) = serde_amqp::to_vec(&Transfer { more: true, ..transfer })
        {
            let mut first_half = payload;
            let second_half = first_half.split_off(first_half.len() / 2);
            self.write(&first, Some(first_half), passed);
            self.write(&self.body, Some(second_half), passed);
            return;
        }
        self.write(&self.body, Some(payload), passed);
    }

    fn write(&self, performative: &[u8], payload: Option<Bytes>, passed: &mut VecDeque<Bytes>) {
        let carried = payload.as_ref().map_or(0, |payload| WRAPPING.len() + 4 + payload.len());
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut front = BytesMut::with_capacity(HEAD + performative.len() + WRAPPING.len() + 4);
        front.put_u32(number(HEAD + performative.len() + carried));
        front.put_slice(&[2, self.kind]);
        front.put_u16(self.channel);
        front.put_slice(performative);
        if let Some(payload) = &payload {
            front.put_slice(&WRAPPING);
            front.put_u32(number(payload.len()));
        }
        passed.push_back(front.freeze());
        passed.extend(payload.filter(|payload| !payload.is_empty()));
    }
}

/// Where an `attach` of a sender announces the largest message, if it does so in eight bytes. Anything shorter is no
/// limit at all or one that nobody announces.
fn limit(attach: &Performative<'_>, body: &[u8]) -> Option<usize> {
    const ROLE: usize = 2;
    const MAX_MESSAGE_SIZE: usize = 10;
    let announced =
        attach.field(MAX_MESSAGE_SIZE).filter(|value| value.code == 0x80 && !attach.flag(ROLE))?;
    let before = announced.contents().as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    Some(before).filter(|at| at + 8 <= body.len())
}
