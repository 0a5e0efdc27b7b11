//! Keyed hashes of what people are called and where they can be reached, for those who compare many users and must not keep that.

use sha2::{Digest, Sha256};

/// The key of all hashes of one run. Who has it can try values that are easy to guess, so it is kept like them.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// A key of these bytes, which nobody can guess.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to keep it.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a value among others of its kind.
    pub(crate) fn hash<const N: usize>(&self, kind: &str, value: &[u8]) -> [u8; N] {
        // A hash that is cut to half of its length cannot be gone on with, so key and value need no more between them than
        // a length that parts kind and value.
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((kind.len() as u64).to_le_bytes());
        hash.update(kind.as_bytes());
        hash.update(value);
        let digest = hash.finalize();
        std::array::from_fn(|place| digest[place])
    }
}
