//! A node's secrets: the key that signs statements and transactions, and the KEM key that opens sealed boxes.

use alloy_primitives::{Address, Bytes};
use consilium_core::eip712::SecretKey;
use consilium_core::seal::KemSecret;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Both keys of one node. Clones share the KEM key; nothing prints or copies a secret.
#[derive(Clone)]
pub struct NodeKeys {
    signing_bytes: Zeroizing<[u8; 32]>,
    kem_bytes: Zeroizing<[u8; 32]>,
    signing: SecretKey,
    kem: Arc<KemSecret>,
}

impl std::fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeKeys(of {}, secrets redacted)", self.address())
    }
}

/// Why keys are not to be had.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key file {}: {source}; create one with `consilium keys`, or correct key_file", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file cannot be written. A file that exists is never overwritten: it may be the only copy of a key.
    #[error("cannot create the key file {}: {source}; an existing file is never overwritten", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("the key file {} can be read by others (mode {mode:03o}): run chmod 600 on it, and consider the keys known", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a key file. The content stays out of the message.
    #[error("{} is not a node's key file: it needs \"signing_key\" and \"kem_secret\", 32 bytes of hex each", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
    },
    /// The signing key is not a scalar of the group.
    #[error("the signing key is not a valid secp256k1 key: create a new one")]
    SigningKey,
}

/// The file's form.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct File {
    signing_key: String,
    kem_secret: String,
}

impl NodeKeys {
    /// Keys of these bytes.
    ///
    /// # Errors
    /// [`KeyError::SigningKey`].
    pub fn from_bytes(signing: &[u8; 32], kem: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SecretKey::from_bytes(signing).map_err(|_| KeyError::SigningKey)?;
        Ok(Self {
            signing_bytes: Zeroizing::new(*signing),
            kem_bytes: Zeroizing::new(*kem),
            signing: key,
            kem: Arc::new(KemSecret::from_bytes(kem)),
        })
    }

    /// Fresh keys from the operating system's generator.
    #[must_use]
    pub fn generate() -> Self {
        loop {
            let (mut signing, mut kem) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
            for bytes in [&mut signing, &mut kem] {
                getrandom::fill(bytes.as_mut_slice())
                    .unwrap_or_else(|error| panic!("the operating system gives no randomness, so no key is safe: {error}"));
            }
            // All but 2^-128 of 32-byte strings are keys.
            if let Ok(keys) = Self::from_bytes(&signing, &kem) {
                return keys;
            }
        }
    }

    /// Writes a new key file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyError::Create`], also when the file exists.
    pub fn create(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::Create { path: path.to_owned(), source };
        let hex = |bytes: &[u8; 32]| hex::encode_prefixed(bytes);
        let file = File { signing_key: hex(&self.signing_bytes), kem_secret: hex(&self.kem_bytes) };
        let text = serde_json::to_string_pretty(&file).map(Zeroizing::new).map_err(|error| failed(error.into()))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(path).map_err(failed)?;
        out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError`]; a file that others can read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read { path: path.to_owned(), source };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed { path: path.to_owned(), mode });
            }
        }
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(failed)?;
        let wrong = || KeyError::Format { path: path.to_owned() };
        let file: File = serde_json::from_str(&text).map_err(|_| wrong())?;
        let bytes = |text: &str| hex::decode_to_array::<_, 32>(text).map(Zeroizing::new).map_err(|_| wrong());
        Self::from_bytes(&*bytes(&file.signing_key)?, &*bytes(&file.kem_secret)?)
    }

    /// The address that the node registers and signs with.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signing.address()
    }

    /// The KEM key that the node registers: X-Wing, 1216 bytes.
    #[must_use]
    pub fn kem_public_key(&self) -> Bytes {
        self.kem.public_key().into()
    }

    /// The signing key, for registering and funding.
    #[must_use]
    pub fn signing_key(&self) -> &SecretKey {
        &self.signing
    }

    pub(crate) fn kem(&self) -> &Arc<KemSecret> {
        &self.kem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_are_never_printed_or_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.json");
        let keys = NodeKeys::generate();
        keys.create(&path).unwrap();
        let back = NodeKeys::load(&path).unwrap();
        assert_eq!((back.address(), back.kem_public_key()), (keys.address(), keys.kem_public_key()));
        assert!(matches!(NodeKeys::generate().create(&path), Err(KeyError::Create { .. })));
        let shown = format!("{keys:?}");
        assert!(!shown.contains(&hex::encode(*keys.signing_bytes)) && !shown.contains(&hex::encode(*keys.kem_bytes)));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.json");
        NodeKeys::generate().create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(NodeKeys::load(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_being_quoted() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a", "{}"), ("b", "hunter2"), ("c", r#"{"signing_key":"0xhunter2","kem_secret":"0x00"}"#)] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let error = NodeKeys::load(&path).unwrap_err().to_string();
            assert!(error.contains("signing_key") && !error.contains("hunter2"), "{error}");
        }
    }
}
