//! How the journal recognises what it has seen: hashes over inputs and messages that are as long as the update.

use alloy_primitives::B256;
use consilium_core::transcript::VERSION;
use zeroize::Zeroize;

/// A hash of the journal over bytes that arrive in pieces: BLAKE3 `derive_key` with context `consilium v2 journal`.
/// Nothing but the journal depends on it.
pub(crate) struct Hasher(Box<blake3::Hasher>);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Box::new(blake3::Hasher::new_derive_key(&format!("{VERSION} journal"))))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> B256 {
        B256::from(*self.0.finalize().as_bytes())
    }
}

/// Wiped: it has absorbed the device secret and the plain input.
impl Drop for Hasher {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
