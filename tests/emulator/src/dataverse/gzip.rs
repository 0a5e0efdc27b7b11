//! A gzip stream that holds its bytes as they are.
//!
//! Own code, because what has to be seen is whether a client asks for gzip and unpacks it, not how small the answer
//! becomes; a compressor would be four more crates in every debug build.

/// The most bytes of one stored block.
const BLOCK: usize = 0xFFFF;

pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    // Magic number, method "deflate", no flags, no time, no extra flags, system unknown.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(checksum(bytes).to_le_bytes());
    // The length modulo 2^32, as the format wants it.
    let length = u32::try_from(bytes.len() & 0xFFFF_FFFF).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let mut state = u32::MAX;
    for byte in bytes {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = if state & 1 == 1 { (state >> 1) ^ 0xEDB8_8320 } else { state >> 1 };
        }
    }
    !state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn long_texts_take_several_blocks_and_only_the_last_is_marked() {
        let packed = pack(&vec![b'a'; BLOCK + 1]);
        assert_eq!(packed[10], 0);
        assert_eq!(packed[15 + BLOCK], 1);
        assert_eq!(packed.len(), 10 + 5 + BLOCK + 5 + 1 + 8);
    }
}
