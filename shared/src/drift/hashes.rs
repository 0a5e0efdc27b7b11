//! Keyed hashes of values: they are compared, and nobody can read them.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::patch::PropertyValue;

/// The key of one run. Whoever does not know it cannot find a value by trying.
#[derive(Clone, Copy)]
pub struct HashKey([u8; 16]);

/// Hash of one value; never one of the [reserved](ValueHash::RESERVED) numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ValueHash(pub(super) u64);

impl HashKey {
    /// A key of random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Of an ordinary value.
    pub(super) fn value(self, value: &PropertyValue) -> ValueHash {
        match value {
            PropertyValue::Clear => self.hash(b'-', b""),
            PropertyValue::Text(text) => self.hash(b't', text.as_bytes()),
            PropertyValue::Bool(yes) => self.hash(b'b', &[u8::from(*yes)]),
            PropertyValue::Integer(number) => self.hash(b'i', &number.to_be_bytes()),
            PropertyValue::List(list) => {
                let lengths = list
                    .iter()
                    .flat_map(|text| [text.len().to_be_bytes().as_slice(), text.as_bytes()].concat());
                self.hash(b'l', &lengths.collect::<Vec<u8>>())
            }
            // What is asked for, never what a user shows.
            PropertyValue::Element(_) | PropertyValue::SignIn(_) => self.hash(b'?', b""),
        }
    }

    /// Of an element, as it is written.
    pub(super) fn exactly(self, text: &str) -> ValueHash {
        self.hash(b'e', text.as_bytes())
    }

    /// Of an element or address, for which `A` and `a` are the same.
    pub(super) fn whatever_case(self, text: &str) -> ValueHash {
        self.hash(b'a', text.to_ascii_lowercase().as_bytes())
    }

    fn hash(self, kind: u8, bytes: &[u8]) -> ValueHash {
        let digest = Sha256::new().chain_update(self.0).chain_update([kind]).chain_update(bytes).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        ValueHash(u64::from_be_bytes(first).max(ValueHash::RESERVED))
    }
}

impl ValueHash {
    /// Numbers below this are no hashes.
    pub(super) const RESERVED: u64 = 16;
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}
