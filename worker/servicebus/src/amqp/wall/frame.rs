//! One frame: its head, and what becomes of it and of what it carries.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    breach::{Breach, LARGEST_FRAME},
    ledger::Ledger,
    performative::{Performative, code},
};
use crate::amqp::scan::check;

/// Bytes before the body: length, offset, type, channel.
const HEAD: usize = 8;
/// A frame of the protocol proper; the others are of SASL.
const AMQP: u8 = 0;
/// What a section of bytes begins with, before its length.
const SECTION: [u8; 4] = [0x00, 0x53, 0x75, 0xa0];

/// The length of a frame, if there can be such a frame.
pub(super) fn size(length: [u8; 4]) -> Result<usize, Breach> {
    let length = u32::from_be_bytes(length);
    let fits = (8..=LARGEST_FRAME).contains(&length);
    usize::try_from(length).ok().filter(|_| fits).ok_or(Breach::Size(length))
}

/// A whole frame, whose body nobody has looked at.
pub(super) struct Frame<'a> {
    kind: u8,
    channel: u16,
    body: &'a [u8],
    /// Bytes of the whole frame.
    pub(super) size: usize,
}

impl<'a> Frame<'a> {
    /// The frame in front, if it is there as a whole.
    pub(super) fn first(incoming: &'a [u8]) -> Result<Option<Self>, Breach> {
        let Some(length) = incoming.first_chunk::<4>() else { return Ok(None) };
        let size = size(*length)?;
        let Some(frame) = incoming.get(..size) else { return Ok(None) };
        let offset = usize::from(frame[4]) * 4;
        // What stands between head and body is for extensions, of which there are none.
        let body = frame.get(offset..).filter(|_| offset >= HEAD).ok_or(Breach::Offset(offset))?;
        Ok(Some(Self { kind: frame[5], channel: u16::from_be_bytes([frame[6], frame[7]]), body, size }))
    }

    /// Lets the frame pass if it is sound and was asked for.
    pub(super) fn pass(&self, ledger: &mut Ledger, passed: &mut BytesMut) -> Result<(), Breach> {
        if self.body.is_empty() {
            self.write(&[], &[], passed);
            return Ok(());
        }
        let length = check(self.body).map_err(Breach::Damaged)?;
        let (body, payload) = self.body.split_at(length);
        if self.kind != AMQP {
            self.write(body, &[], passed);
            return Ok(());
        }
        let performative = Performative::of(self.channel, body).map_err(Breach::Damaged)?;
        if performative.code != code::TRANSFER {
            ledger.came(&performative)?;
            self.write(body, &[], passed);
            return Ok(());
        }
        // Copied, because the piece of the stream would be kept as long as any message that came in it.
        let number = ledger.transfer(&performative, Bytes::copy_from_slice(payload))?;
        let number = number.map(u64::to_be_bytes);
        let number = number.as_ref().map_or(&[][..], |number| number);
        let length = if number.is_empty() { 0 } else { 8 };
        self.write(body, &[&SECTION[..], &[length], number].concat(), passed);
        Ok(())
    }

    fn write(&self, performative: &[u8], carried: &[u8], passed: &mut BytesMut) {
        let length = HEAD + performative.len() + carried.len();
        passed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        passed.put_slice(&[2, self.kind]);
        passed.put_u16(self.channel);
        passed.put_slice(performative);
        passed.put_slice(carried);
    }
}
