//! How the journal recognises what it has seen: hashes over inputs and messages that are as long as the update.

use alloy_primitives::{B256, Keccak256};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The hash function of a journal's line. Nothing else depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashFunction {
    /// Of lines that name none.
    #[default]
    Keccak256,
    /// Of new lines: on a long update it takes a tenth of the time.
    Blake3,
}

/// A hash over bytes that arrive in pieces.
pub(crate) enum Hasher {
    Keccak256(Box<Keccak256>),
    Blake3(Box<blake3::Hasher>),
}

impl HashFunction {
    pub(crate) fn hasher(self) -> Hasher {
        match self {
            Self::Keccak256 => Hasher::Keccak256(Box::default()),
            Self::Blake3 => Hasher::Blake3(Box::new(blake3::Hasher::new_derive_key("consilium site journal"))),
        }
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Keccak256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    pub(crate) fn finish(self) -> B256 {
        match self {
            Self::Keccak256(hasher) => hasher.finalize(),
            Self::Blake3(mut hasher) => {
                let hash = B256::from(*hasher.finalize().as_bytes());
                hasher.zeroize();
                hash
            }
        }
    }
}
