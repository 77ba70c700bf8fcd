//! A node's secrets: the key that signs statements and transactions, and the KEM secrets that open sealed boxes.
//!
//! A committee keeps the KEM keys with which it was formed; a new key counts from the next epoch on. So a node holds one
//! secret for every key that some committee of it may still need, and erases the others ([`forget`]): afterwards nothing on
//! its disk opens the boxes of their epochs.
//!
//! **What is stored, what is derived.** The key file holds the secrets, the deployments at which each key was registered,
//! and the committees that this node has served with it. The first cannot be derived. The others could be read from the
//! chain, but one deployment does not know of another, and an endpoint may leave a committee out: what the file names is
//! never erased on an endpoint's silence. All else (public keys, the current key, rounds and their times) is derived.
//!
//! | what | module |
//! |---|---|
//! | the file's form | `file` |
//! | lock, atomic replacement, wiping | `disk` |
//! | what a running node and a command beside it share | `store` |
//! | the next key | [`rotate`] |
//! | what still needs an old key | `windows` |
//! | erasing | [`forget`] |

mod disk;
mod error;
mod file;
mod forget;
mod rotate;
mod store;
mod windows;

pub use error::KeyError;
pub use forget::{ForgetError, Forgotten, Kept, forget};
pub use rotate::{RotateError, Rotated, rotate};
pub use store::KeyStore;
pub use windows::{Hold, Look, Phase};

use alloy_primitives::{Address, B256, Bytes, keccak256};
use consilium_core::eip712::SecretKey;
use consilium_core::seal::KemSecret;
use consilium_ledger::Addresses;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Secret bytes that stay at one place in memory, which is wiped.
type SecretBytes = Arc<Zeroizing<[u8; 32]>>;

/// All keys of one node. Clones share the secrets; nothing prints or copies them.
#[derive(Clone)]
pub struct NodeKeys {
    signing_bytes: SecretBytes,
    signing: SecretKey,
    /// Newest last; never empty, see [`Self::assemble`].
    kem: Vec<KemKey>,
}

/// One KEM secret, its public key, and what is known of its use.
#[derive(Clone)]
pub struct KemKey {
    bytes: SecretBytes,
    secret: Arc<KemSecret>,
    public: Bytes,
    hash: B256,
    uses: Vec<Use>,
}

/// A deployment of the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployment {
    /// The chain's id.
    pub chain_id: u64,
    /// The contract Consilium.
    pub contract: Address,
}

/// A committee: that of one epoch of one study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The study.
    pub study: u64,
    /// From 1.
    pub epoch: u64,
}

/// A deployment at which a key was registered, with the committees formed with it that this node has served there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Use {
    chain_id: u64,
    contract: Address,
    committees: BTreeSet<Epoch>,
}

impl Use {
    /// Which deployment.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        Deployment { chain_id: self.chain_id, contract: self.contract }
    }

    /// The committees that this node has served with the key.
    #[must_use]
    pub fn committees(&self) -> &BTreeSet<Epoch> {
        &self.committees
    }
}

impl Deployment {
    /// The deployment at these addresses.
    #[must_use]
    pub fn of(addresses: &Addresses) -> Self {
        Self { chain_id: addresses.chain_id, contract: addresses.consilium }
    }
}

impl std::fmt::Display for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "contract {} on chain {}", self.contract, self.chain_id)
    }
}

impl std::fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeKeys(of {}, {} KEM keys, secrets redacted)", self.address(), self.kem.len())
    }
}

impl std::fmt::Debug for KemKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KemKey({}, secret redacted)", self.hash)
    }
}

impl KemKey {
    fn new(bytes: SecretBytes, uses: Vec<Use>) -> Self {
        let secret = KemSecret::from_bytes(&bytes);
        let public = Bytes::from(secret.public_key());
        Self { bytes, secret: Arc::new(secret), hash: keccak256(&public), public, uses }
    }

    fn generate() -> Result<Self, KeyError> {
        Ok(Self::new(random()?, Vec::new()))
    }

    /// The public key: X-Wing, 1216 bytes.
    #[must_use]
    pub fn public_key(&self) -> &Bytes {
        &self.public
    }

    /// keccak256 of the public key, by which the registry and committees know it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Where it was registered, and what it was used for.
    #[must_use]
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Notes a deployment, and a committee there. Whether that is new.
    fn note(&mut self, at: Deployment, committee: Option<Epoch>) -> bool {
        let known = self.uses.iter().position(|one| one.deployment() == at);
        let place = known.unwrap_or_else(|| {
            self.uses.push(Use { chain_id: at.chain_id, contract: at.contract, committees: BTreeSet::new() });
            self.uses.len() - 1
        });
        let added = committee.is_some_and(|committee| self.uses[place].committees.insert(committee));
        added || known.is_none()
    }
}

/// Secret bytes that are written where they stay: a move would leave a copy on the stack.
fn secret_bytes<E>(write: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<SecretBytes, E> {
    let mut bytes = Arc::new(Zeroizing::new([0; 32]));
    let place = Arc::get_mut(&mut bytes).unwrap_or_else(|| unreachable!("nobody else has the new allocation"));
    write(place)?;
    Ok(bytes)
}

fn random() -> Result<SecretBytes, KeyError> {
    secret_bytes(|place| getrandom::fill(place).map_err(KeyError::Randomness))
}

impl NodeKeys {
    /// Keys of these bytes, with one KEM key.
    ///
    /// # Errors
    /// [`KeyError::SigningKey`].
    pub fn from_bytes(signing: &[u8; 32], kem: &[u8; 32]) -> Result<Self, KeyError> {
        let shared = |bytes: &[u8; 32]| {
            secret_bytes(|place| {
                place.copy_from_slice(bytes);
                Ok(())
            })
        };
        let key = SecretKey::from_bytes(signing).map_err(|_| KeyError::SigningKey)?;
        Ok(Self { signing_bytes: shared(signing)?, signing: key, kem: vec![KemKey::new(shared(kem)?, Vec::new())] })
    }

    /// Keys of these parts; none without a KEM key.
    fn assemble(signing: SecretBytes, kem: Vec<KemKey>) -> Result<Option<Self>, KeyError> {
        let key = SecretKey::from_bytes(&signing).map_err(|_| KeyError::SigningKey)?;
        Ok((!kem.is_empty()).then_some(Self { signing_bytes: signing, signing: key, kem }))
    }

    /// Fresh keys from the operating system's generator.
    ///
    /// # Errors
    /// [`KeyError::Randomness`].
    pub fn generate() -> Result<Self, KeyError> {
        loop {
            let signing = random()?;
            // All but 2^-128 of 32-byte strings are keys.
            if let Ok(key) = SecretKey::from_bytes(&signing) {
                return Ok(Self { signing_bytes: signing, signing: key, kem: vec![KemKey::generate()?] });
            }
        }
    }

    /// Writes a new key file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyError::Create`], also when the file exists.
    pub fn create(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::Create { path: path.to_owned(), source };
        let text = file::encode(self).map_err(|error| failed(error.into()))?;
        disk::create(path, &text).map_err(failed)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError`]; a file that others can read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = disk::read(path)?;
        file::decode(path, &text)
    }

    /// The address that the node registers and signs with.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signing.address()
    }

    /// The newest KEM key, which the node registers: X-Wing, 1216 bytes.
    #[must_use]
    pub fn kem_public_key(&self) -> Bytes {
        self.newest().public.clone()
    }

    /// All KEM keys that are held, the newest last.
    #[must_use]
    pub fn kem_keys(&self) -> &[KemKey] {
        &self.kem
    }

    /// The signing key, for registering and funding.
    #[must_use]
    pub fn signing_key(&self) -> &SecretKey {
        &self.signing
    }

    fn newest(&self) -> &KemKey {
        let newest = self.kem.last();
        newest
            .unwrap_or_else(|| unreachable!("every constructor puts a KEM key in, and none of the changes takes the newest out"))
    }

    fn find(&self, public_key: &[u8]) -> Option<&KemKey> {
        self.kem.iter().find(|key| *key.public == *public_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn keys_read_back_and_are_never_printed_or_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.json");
        let keys = NodeKeys::generate().unwrap();
        keys.create(&path).unwrap();
        let back = NodeKeys::load(&path).unwrap();
        assert_eq!((back.address(), back.kem_public_key()), (keys.address(), keys.kem_public_key()));
        assert!(matches!(NodeKeys::generate().unwrap().create(&path), Err(KeyError::Create { .. })));
        let shown = format!("{keys:?} {:?} {:?}", keys.kem, KeyStore::open(&path).unwrap());
        assert!(shown.contains("redacted"));
        for secret in [&keys.signing_bytes, &keys.kem[0].bytes] {
            assert!(!shown.contains(&hex::encode(secret.as_slice())) && !shown.contains(&format!("{:?}", secret.as_slice())));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.json");
        NodeKeys::generate().unwrap().create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(NodeKeys::load(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn files_that_are_not_key_files_are_refused_without_being_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let secret = format!("0x{}", "5a".repeat(32));
        let good = format!(r#"{{"version":1,"signing_key":"{secret}","kem_keys":[{{"secret":"{secret}","uses":[]}}]}}"#);
        let load = |text: &str| {
            let path = folder.path().join("k");
            fs::write(&path, text).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            NodeKeys::load(&path)
        };
        assert!(load(&good).is_ok(), "the other texts differ from a good one in one point each");
        let old = format!(r#"{{"signing_key":"{secret}","kem_secret":"{secret}"}}"#);
        for (text, word) in [
            ("hunter2".to_owned(), "\"kem_keys\""),
            (good.replacen(&secret, "0xhunter2", 1), "\"kem_keys\""),
            (good.replace(&format!(r#"{{"secret":"{secret}","uses":[]}}"#), ""), "\"kem_keys\""),
            (good.replace("\"uses\":[]", "\"uses\":[],\"hunter2\":1"), "\"kem_keys\""),
            (good.replace("\"version\":1", "\"version\":1,\"hunter2\":1"), "\"kem_keys\""),
            (good.replace("\"version\":1", "\"version\":7"), "version 7"),
            (old, "no version"),
        ] {
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("consilium keys new node"), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("5a5a"), "{error}");
        }
    }
}
