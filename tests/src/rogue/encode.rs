//! AMQP bytes as nobody should write them: every length, depth and type as it is wanted.

/// Nothing.
pub const NULL: &[u8] = &[0x40];
/// A truth value.
pub const TRUE: &[u8] = &[0x41];
/// The other one.
pub const FALSE: &[u8] = &[0x42];

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

fn sized(code: u8, content: &[u8]) -> Vec<u8> {
    [&[code], &length(content.len())[..], content].concat()
}

fn compound(code: u8, items: &[&[u8]]) -> Vec<u8> {
    let content = items.concat();
    [&[code], &length(content.len() + 4)[..], &length(items.len()), &content].concat()
}

/// A list.
#[must_use]
pub fn list(items: &[&[u8]]) -> Vec<u8> {
    compound(0xd0, items)
}

/// A map: keys and values in turns.
#[must_use]
pub fn map(items: &[&[u8]]) -> Vec<u8> {
    compound(0xd1, items)
}

/// A value with a small numeric descriptor.
#[must_use]
pub fn described(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code], value].concat()
}

/// A symbol.
#[must_use]
pub fn symbol(text: &str) -> Vec<u8> {
    sized(0xb3, text.as_bytes())
}

/// A text.
#[must_use]
pub fn text(text: &str) -> Vec<u8> {
    sized(0xb1, text.as_bytes())
}

/// Bytes.
#[must_use]
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    sized(0xb0, bytes)
}

/// A number of 32 bits.
#[must_use]
pub fn uint(number: u32) -> Vec<u8> {
    [&[0x70], &number.to_be_bytes()[..]].concat()
}

/// A signed number of 32 bits.
#[must_use]
pub fn int(number: i32) -> Vec<u8> {
    [&[0x71], &number.to_be_bytes()[..]].concat()
}

/// A number of 64 bits.
#[must_use]
pub fn long(number: i64) -> Vec<u8> {
    [&[0x81], &number.to_be_bytes()[..]].concat()
}

/// A frame of the protocol (0) or of SASL (1).
#[must_use]
pub fn frame(kind: u8, channel: u16, performative: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = length(8 + performative.len() + payload.len());
    [&size[..], &[2, kind], &channel.to_be_bytes(), performative, payload].concat()
}

/// How values are put into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nest {
    /// Lists of one.
    Lists,
    /// Maps of one pair.
    Maps,
    /// Descriptors, three bytes a level.
    Described,
    /// Arrays of one.
    Arrays,
}

impl Nest {
    /// All ways.
    pub const ALL: [Self; 4] = [Self::Lists, Self::Maps, Self::Described, Self::Arrays];

    /// A value so many levels deep.
    #[must_use]
    pub fn deep(self, levels: usize) -> Vec<u8> {
        // Written from the inside out would copy everything for each level; so heads first, then the core.
        let (code, head, per_level): (u8, &[u8], usize) = match self {
            Self::Described => return [[0x00, 0x53, 0x01].repeat(levels), vec![0x50, 7]].concat(),
            Self::Lists => (0xd0, &[0, 0, 0, 1], 9),
            Self::Maps => (0xd1, &[0, 0, 0, 2, 0xa3, 1, b'k'], 12),
            // Inner arrays stand without size, so the constructor of the element is the inner code.
            Self::Arrays => (0xf0, &[0, 0, 0, 1], 9),
        };
        let mut bytes = Vec::with_capacity(levels * per_level + 2);
        for level in (0..levels).rev() {
            let inside = level * per_level + 2;
            bytes.push(code);
            bytes.extend(length(head.len() + inside));
            bytes.extend_from_slice(head);
        }
        bytes.extend([0x50, 7]);
        bytes
    }
}

/// Annotations as the service writes them, with one more.
#[must_use]
pub fn annotations(sequence: i64, more: &[(&str, &[u8])]) -> Vec<u8> {
    let keys: Vec<_> = more.iter().map(|(key, _)| symbol(key)).collect();
    let (number, name) = (long(sequence), symbol("x-opt-sequence-number"));
    let mut items: Vec<&[u8]> = vec![&name, &number];
    for (key, (_, value)) in keys.iter().zip(more) {
        items.extend([&key[..], value]);
    }
    described(0x72, &map(&items))
}

/// A body of bytes.
#[must_use]
pub fn data(body: &[u8]) -> Vec<u8> {
    described(0x75, &binary(body))
}
