//! Where one encoded AMQP value ends, without decoding it.

use thiserror::Error;

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
    let code = byte(bytes, at)?;
    let content = at + 1;
    let end = match code >> 4 {
        0x4 => content,
        0x5 => content + 1,
        0x6 => content + 2,
        0x7 => content + 4,
        0x8 => content + 8,
        0x9 => content + 16,
        0xa | 0xc | 0xe => content + 1 + usize::from(byte(bytes, content)?),
        0xb | 0xd | 0xf => {
            let width = bytes.get(content..content + 4).ok_or(Error::CutOff(content))?;
            let length = width.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
            content + 4 + length
        }
        _ => return Err(Error::UnknownCode { code, at }),
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
}
