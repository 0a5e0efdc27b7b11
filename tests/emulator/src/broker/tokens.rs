//! Lock tokens and message ids: unique, unguessable enough for a test, and the same again for the same seed.

use uuid::Uuid;

/// Gives out one identifier after the other.
#[derive(Debug)]
pub(super) struct Tokens {
    state: u64,
}

impl Tokens {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The `SplitMix64` generator: visits every 64-bit value once, so tokens cannot repeat.
    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(super) fn next(&mut self) -> Uuid {
        let bytes = (u128::from(self.word()) << 64) | u128::from(self.word());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}
