//! One frame: its head, and what becomes of it and of what it carries.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::performatives::Transfer;

use super::ledger::Ledger;
use super::performative::{Performative, code};
use super::{Breach, LARGEST_FRAME};
use crate::amqp::scan::check;

/// Bytes before the body: length, offset, type, channel.
const HEAD: usize = 8;
/// A frame of the protocol proper; the others are of SASL.
const AMQP: u8 = 0;
/// What a wrapped piece of a message begins with, before its length: a section of bytes.
const WRAPPING: [u8; 4] = [0x00, 0x53, 0x75, 0xb0];

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
