//! The form of a key file: JSON, version 1.
//!
//! ```json
//! {
//!   "version": 1,
//!   "signing_key": "0x<32 bytes>",
//!   "kem_keys": [
//!     {
//!       "secret": "0x<32 bytes>",
//!       "uses": [ { "chain_id": 1, "contract": "0x<20 bytes>", "committees": [ { "study": 1, "epoch": 1 } ] } ]
//!     }
//!   ]
//! }
//! ```
//!
//! The newest KEM key is the last. Public keys and their hashes follow from the secrets.

use super::error::KeyError;
use super::{KemKey, NodeKeys, SecretBytes, Use, secret_bytes};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The version that is written and read.
const VERSION: u64 = 1;

/// Bytes that a file takes at most besides what it lists, that a KEM key takes with one use, and that a committee takes: the
/// text must not move while it grows, which would leave copies of secrets behind.
const FRAME: usize = 512;
const KEY: usize = 512;
const USE: usize = 256;
const COMMITTEE: usize = 128;

/// Looks for the version alone, so that a file of another version is named as such.
#[derive(Deserialize)]
struct Versioned {
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    signing_key: Secret,
    kem_keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    secret: Secret,
    uses: Vec<Use>,
}

/// Secret bytes that stay where they are, are wiped there, and are written as hex.
struct Secret(SecretBytes);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(hex::encode_prefixed(self.0.as_slice()));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("32 bytes of hex")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                let wrong = |_| E::custom("not 32 bytes of hex");
                secret_bytes(|place| hex::decode_to_slice(text, place).map_err(wrong)).map(Secret)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// The text of a key file.
pub(super) fn encode(keys: &NodeKeys) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let entry = |key: &KemKey| Entry { secret: Secret(Arc::clone(&key.bytes)), uses: key.uses.clone() };
    let file = File {
        version: VERSION,
        signing_key: Secret(Arc::clone(&keys.signing_bytes)),
        kem_keys: keys.kem.iter().map(entry).collect(),
    };
    let uses = keys.kem.iter().flat_map(|key| &key.uses);
    let listed: usize = uses.map(|one| USE + one.committees.len() * COMMITTEE).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(FRAME + keys.kem.len() * KEY + listed));
    serde_json::to_writer_pretty(&mut *text, &file)?;
    Ok(text)
}

/// The keys in the text of a key file.
pub(super) fn decode(path: &Path, text: &[u8]) -> Result<NodeKeys, KeyError> {
    let wrong = || KeyError::Format { path: path.to_owned() };
    let Versioned { version: found } = serde_json::from_slice(text).map_err(|_| wrong())?;
    if found != Some(VERSION) {
        return Err(KeyError::Version { path: path.to_owned(), found, expected: VERSION });
    }
    let file: File = serde_json::from_slice(text).map_err(|_| wrong())?;
    let kem = file.kem_keys.into_iter().map(|entry| KemKey::new(entry.secret.0, entry.uses)).collect();
    NodeKeys::assemble(file.signing_key.0, kem)?.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Deployment, Epoch};
    use alloy_primitives::Address;

    #[test]
    fn the_text_reads_back_and_never_outgrows_what_was_set_aside_for_it() {
        let mut keys = NodeKeys::generate().unwrap();
        for byte in 0..3 {
            keys.kem.push(KemKey::generate().unwrap());
            let last = keys.kem.last_mut().unwrap();
            for _ in 0..=byte {
                let deployment = Deployment { chain_id: u64::MAX, contract: Address::repeat_byte(byte) };
                for epoch in u64::MAX - 20..u64::MAX {
                    last.note(deployment, Some(Epoch { study: u64::MAX - u64::from(byte), epoch }));
                }
            }
        }
        let uses: usize = keys.kem.iter().flat_map(|key| &key.uses).map(|one| USE + one.committees.len() * COMMITTEE).sum();
        let text = encode(&keys).unwrap();
        assert_eq!(text.capacity(), FRAME + keys.kem.len() * KEY + uses, "the text was moved while it grew");
        let back = decode(Path::new("k"), &text).unwrap();
        assert_eq!(back.address(), keys.address());
        let shown = |keys: &NodeKeys| keys.kem.iter().map(|key| (key.hash, key.uses.clone())).collect::<Vec<_>>();
        assert_eq!(shown(&back), shown(&keys));
    }
}
