//! Frames: how they are cut out of the stream, and performatives as numbered fields.

use bytes::{Buf, Bytes, BytesMut};
use serde_amqp::Value;
use thiserror::Error;

use super::{
    span,
    value::{described, encode, fields, number, text, undescribe},
};

/// Descriptor codes of the performatives.
pub(crate) mod code {
    pub(crate) const OPEN: u64 = 0x10;
    pub(crate) const BEGIN: u64 = 0x11;
    pub(crate) const ATTACH: u64 = 0x12;
    pub(crate) const FLOW: u64 = 0x13;
    pub(crate) const TRANSFER: u64 = 0x14;
    pub(crate) const DISPOSITION: u64 = 0x15;
    pub(crate) const DETACH: u64 = 0x16;
    pub(crate) const END: u64 = 0x17;
    pub(crate) const CLOSE: u64 = 0x18;
    pub(crate) const ERROR: u64 = 0x1d;
    pub(crate) const ACCEPTED: u64 = 0x24;
    pub(crate) const REJECTED: u64 = 0x25;
    pub(crate) const RELEASED: u64 = 0x26;
    pub(crate) const MODIFIED: u64 = 0x27;
    pub(crate) const SASL_MECHANISMS: u64 = 0x40;
    pub(crate) const SASL_INIT: u64 = 0x41;
    pub(crate) const SASL_OUTCOME: u64 = 0x44;
}

/// Largest frame that this server takes, and offers to send.
pub(crate) const MAX_FRAME: u32 = 65_536;

/// Bytes before the body: size, data offset, type, channel.
pub(crate) const HEADER: usize = 8;

/// The stream is not AMQP.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A frame's size is impossible.
    #[error("frame of {0} bytes")]
    Size(usize),
    /// A frame's body is no performative.
    #[error("read the performative of a frame")]
    Span(#[from] span::Error),
    /// A frame's body cannot be decoded.
    #[error("decode the performative of a frame")]
    Codec(#[from] serde_amqp::Error),
    /// The performative has no numeric descriptor.
    #[error("frame body is not a performative")]
    NotAPerformative,
}

/// A frame as received.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) channel: u16,
    /// None for an empty frame, which only keeps the connection alive.
    pub(crate) performative: Option<Performative>,
    pub(crate) payload: Bytes,
}

/// Cuts the next whole frame off `buffer`, if there is one.
pub(crate) fn read(buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
    let Some(size) = buffer.first_chunk::<4>().map(|size| u32::from_be_bytes(*size) as usize) else {
        return Ok(None);
    };
    if size < HEADER || size > MAX_FRAME as usize {
        return Err(Error::Size(size));
    }
    if buffer.len() < size {
        return Ok(None);
    }
    let mut frame = buffer.split_to(size).freeze();
    let start = usize::from(frame[4]) * 4;
    let channel = u16::from_be_bytes([frame[6], frame[7]]);
    if start < HEADER || start > size {
        return Err(Error::Size(size));
    }
    frame.advance(start);
    if frame.is_empty() {
        return Ok(Some(Frame { channel, performative: None, payload: Bytes::new() }));
    }
    let end = span::end(&frame, 0)?;
    let performative = Performative::decode(&frame[..end])?;
    frame.advance(end);
    Ok(Some(Frame { channel, performative: Some(performative), payload: frame }))
}

/// Appends a frame to `out`.
pub(crate) fn write(out: &mut Vec<u8>, kind: u8, channel: u16, body: &[u8], payload: &[u8]) {
    let size = u32::try_from(HEADER + body.len() + payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[2, kind]);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(payload);
}

/// A performative: a code and fields by position.
#[derive(Clone, Debug)]
pub(crate) struct Performative {
    pub(crate) code: u64,
    fields: Vec<Value>,
}

impl Performative {
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let value = span::decode(bytes)?;
        let (code, list) = undescribe(value).ok_or(Error::NotAPerformative)?;
        Ok(Self { code, fields: fields(list) })
    }

    /// The field at `index`, null if absent.
    pub(crate) fn get(&self, index: usize) -> &Value {
        self.fields.get(index).unwrap_or(&Value::Null)
    }

    /// Takes the field at `index` out.
    pub(crate) fn take(&mut self, index: usize) -> Value {
        self.fields.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn u32(&self, index: usize) -> Option<u32> {
        number(self.get(index)).and_then(|number| u32::try_from(number).ok())
    }

    pub(crate) fn bool(&self, index: usize) -> bool {
        matches!(self.get(index), Value::Bool(true))
    }

    pub(crate) fn text(&self, index: usize) -> Option<&str> {
        text(self.get(index))
    }
}

pub(crate) fn performative(code: u64, fields: Vec<Value>) -> Vec<u8> {
    encode(&described(code, Value::List(fields)))
}
