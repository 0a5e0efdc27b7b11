//! Whether two replicas would write the same.

use sha2::{Digest, Sha256};

use super::{needs::Needs, parts::Settings};

/// Sections and keys that decide what is written to whom.
const DECISIVE: [&str; 8] =
    ["cloud", "filter.", "graph.", "guard.", "identity.client_id", "identity.tenant", "link.", "mapping."];

impl<N: Needs> Settings<N> {
    /// The same for replicas that write the same, and no secret: the beginning of a hash of what decides about writes.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (key, entry) in &self.entries {
            if DECISIVE.iter().any(|start| key.starts_with(start)) {
                hash.update(format!("{key}={}\n", entry.value));
            }
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}
