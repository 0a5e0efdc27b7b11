//! Where one encoded AMQP value ends, and how deep it is, without decoding it.

use serde_amqp::Value;
use thiserror::Error;

/// Levels of values within each other that are decoded. The codec decodes by recursion, so whoever sends more of
/// them would end this process.
const DEEPEST: usize = 32;

/// The bytes are no AMQP value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// The value goes on beyond the end.
    #[error("encoded value is cut off at byte {0}")]
    CutOff(usize),
    /// No AMQP type has this code.
    #[error("unknown format code {code:#04x} at byte {at}")]
    UnknownCode {
        /// The code found.
        code: u8,
        /// Where.
        at: usize,
    },
    /// Values within values, more than are decoded.
    #[error("encoded value is nested more than {DEEPEST} levels deep")]
    Deep,
}

/// Decodes a value that is not nested too deep.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, serde_amqp::Error> {
    match nesting(bytes) {
        // Whatever else is wrong with it is for the codec to say.
        Err(error @ Error::Deep) => Err(serde_amqp::Error::Message(error.to_string())),
        Ok(()) | Err(_) => serde_amqp::from_slice(bytes),
    }
}

/// Walks the value at the front with a stack of its own.
fn nesting(bytes: &[u8]) -> Result<(), Error> {
    /// Values to come, where they end, and their constructor if they share one.
    struct Level {
        left: usize,
        end: usize,
        code: Option<u8>,
    }
    let mut levels = vec![Level { left: 1, end: bytes.len(), code: None }];
    let mut at = 0;
    while let Some(level) = levels.last_mut() {
        let end = level.end;
        if level.left == 0 || at >= end {
            levels.pop();
            continue;
        }
        level.left -= 1;
        let (code, content) = match level.code {
            Some(code) => (code, at),
            None => (byte(bytes, at)?, at + 1),
        };
        let inner = match code {
            0 => {
                at = self::end(bytes, content)?;
                Some(Level { left: 1, end, code: None })
            }
            // Lists, maps and arrays: size and count in one byte or in four.
            0xc0 | 0xc1 | 0xd0 | 0xd1 | 0xe0 | 0xf0 => {
                let width = if code & 0x10 == 0 { 1 } else { 4 };
                let end = content_end(bytes, code, content)?;
                // An item costs a byte at least.
                let left = number(bytes, content + width, width)?.min(end - content);
                at = content + 2 * width;
                let mut element = None;
                if code & 0x20 != 0 && left > 0 {
                    if byte(bytes, at)? == 0 {
                        at = self::end(bytes, at + 1)?;
                    }
                    element = Some(byte(bytes, at)?);
                    at += 1;
                }
                Some(Level { left, end, code: element })
            }
            _ => {
                at = content_end(bytes, code, content)?;
                None
            }
        };
        if let Some(inner) = inner {
            if levels.len() > DEEPEST {
                return Err(Error::Deep);
            }
            levels.push(inner);
        }
    }
    Ok(())
}

/// The position just behind the value that starts at `start`.
pub(crate) fn end(bytes: &[u8], start: usize) -> Result<usize, Error> {
    let mut at = start;
    // A described value is a zero byte, a descriptor and the value, which may be described in turn.
    while byte(bytes, at)? == 0 {
        at = plain_end(bytes, at + 1)?;
    }
    plain_end(bytes, at)
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Error> {
    bytes.get(at).copied().ok_or(Error::CutOff(at))
}

fn plain_end(bytes: &[u8], at: usize) -> Result<usize, Error> {
    content_end(bytes, byte(bytes, at)?, at + 1)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize, Error> {
    let number = bytes.get(at..at + width).ok_or(Error::CutOff(at))?;
    Ok(number.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}

fn content_end(bytes: &[u8], code: u8, content: usize) -> Result<usize, Error> {
    let end = match code >> 4 {
        0x4 => content,
        0x5 => content + 1,
        0x6 => content + 2,
        0x7 => content + 4,
        0x8 => content + 8,
        0x9 => content + 16,
        0xa | 0xc | 0xe => content + 1 + number(bytes, content, 1)?,
        0xb | 0xd | 0xf => content + 4 + number(bytes, content, 4)?,
        _ => return Err(Error::UnknownCode { code, at: content.saturating_sub(1) }),
    };
    if end > bytes.len() { Err(Error::CutOff(end)) } else { Ok(end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_their_encoding_says() {
        for (bytes, expected) in [
            (&[0x40][..], Ok(1)),
            (&[0x53, 7, 0xff], Ok(2)),
            (&[0xa1, 2, b'a', b'b', 0xff], Ok(4)),
            (&[0xb0, 0, 0, 0, 1, 9], Ok(6)),
            (&[0x00, 0x53, 0x24, 0x45, 0xff], Ok(4)),
            (&[0xa1, 2, b'a'], Err(Error::CutOff(4))),
            (&[0x00, 0x53], Err(Error::CutOff(3))),
            (&[0x12], Err(Error::UnknownCode { code: 0x12, at: 0 })),
            (&[], Err(Error::CutOff(0))),
        ] {
            assert_eq!(end(bytes, 0), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_not_decoded() {
        let list = |inner: &[u8]| {
            let size = u32::try_from(inner.len() + 4).expect("small").to_be_bytes();
            [&[0xd0], &size[..], &[0, 0, 0, 1], inner].concat()
        };
        let lists = |levels| (0..levels).fold(vec![0x40], |inner, _| list(&inner));
        let described = |levels| [[0x00, 0x53, 0x01].repeat(levels), vec![0x40]].concat();
        for levels in [1, DEEPEST] {
            decode(&lists(levels)).expect("can be decoded");
            decode(&described(levels)).expect("can be decoded");
        }
        for levels in [DEEPEST + 1, 3_000] {
            assert_eq!(nesting(&lists(levels)), Err(Error::Deep), "{levels}");
        }
        for levels in [DEEPEST + 1, 100_000] {
            assert_eq!(nesting(&described(levels)), Err(Error::Deep), "{levels}");
            decode(&described(levels)).expect_err("is refused");
        }
    }
}
