//! The site's secrets: its signing key, which is its identity on the chain, and the device secret that hedges seeds and
//! rounding against a bad random generator and keys the fingerprints in the journal.
//!
//! The file is JSON, `{"signing_key":"0x..","device_secret":"0x.."}`, readable by its owner alone.

use crate::error::KeyError;
use alloy_primitives::Address;
use consilium_core::eip712::SecretKey;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// A site's signing key and device secret. Wiped on drop, never printed.
#[derive(Clone)]
pub struct SiteKeys {
    signing: SecretKey,
    scalar: Zeroizing<[u8; 32]>,
    device_secret: Zeroizing<[u8; 32]>,
}

impl core::fmt::Debug for SiteKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SiteKeys(of {})", self.address())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    signing_key: String,
    device_secret: String,
}

impl Drop for File {
    fn drop(&mut self) {
        self.signing_key.zeroize();
        self.device_secret.zeroize();
    }
}

impl SiteKeys {
    /// Given secrets.
    ///
    /// # Errors
    /// [`KeyError::Scalar`].
    pub fn new(signing_key: [u8; 32], device_secret: [u8; 32]) -> Result<Self, KeyError> {
        let scalar = Zeroizing::new(signing_key);
        let signing = SecretKey::from_bytes(&scalar).map_err(|_| KeyError::Scalar)?;
        Ok(Self { signing, scalar, device_secret: Zeroizing::new(device_secret) })
    }

    /// Fresh secrets from the operating system.
    ///
    /// # Errors
    /// [`KeyError::Entropy`].
    pub fn generate() -> Result<Self, KeyError> {
        let (mut scalar, mut device_secret) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        getrandom::fill(device_secret.as_mut()).map_err(|error| KeyError::Entropy(error.to_string()))?;
        loop {
            getrandom::fill(scalar.as_mut()).map_err(|error| KeyError::Entropy(error.to_string()))?;
            // A random scalar is out of range with probability 2^-128.
            if let Ok(signing) = SecretKey::from_bytes(&scalar) {
                return Ok(Self { signing, scalar, device_secret });
            }
        }
    }

    /// The site's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signing.address()
    }

    /// The signing key.
    #[must_use]
    pub fn signing(&self) -> &SecretKey {
        &self.signing
    }

    /// The device secret. It is mixed into seeds and into the key of the rounding, so that a generator whose state is known, or
    /// that repeats itself, gives neither away; the boxes' randomness is hedged with the seeds. It also keys the fingerprints
    /// by which the journal recognises an input, so that whoever reads the journal cannot test guesses of an update. With it
    /// lost, journalled contributions are no longer recognised.
    #[must_use]
    pub fn expose_device_secret(&self) -> &[u8; 32] {
        &self.device_secret
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError`] when it cannot be read, when others may read it, or when it holds no keys.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let read = |source| KeyError::Read { path: path.to_owned(), source };
        refuse_readable_by_others(path)?;
        let text = Zeroizing::new(std::fs::read(path).map_err(read)?);
        let file: File =
            serde_json::from_slice(&text).map_err(|error| KeyError::Form { path: path.to_owned(), what: place_of(&error) })?;
        let form = |what: &str| KeyError::Form { path: path.to_owned(), what: what.to_owned() };
        let signing_key = secret(&file.signing_key).ok_or_else(|| form("signing_key is not 32 bytes in hex"))?;
        let device_secret = secret(&file.device_secret).ok_or_else(|| form("device_secret is not 32 bytes in hex"))?;
        Self::new(*signing_key, *device_secret).map_err(|_| form("signing_key is no secp256k1 key"))
    }

    /// Writes a new key file, readable by its owner alone. An existing file is never overwritten.
    ///
    /// # Errors
    /// [`KeyError::Write`].
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::Write { path: path.to_owned(), source };
        let file = File {
            signing_key: hex::encode_prefixed(self.scalar.as_ref()),
            device_secret: hex::encode_prefixed(self.device_secret.as_ref()),
        };
        let text = serde_json::to_vec_pretty(&file).map(Zeroizing::new).map_err(|error| failed(error.into()))?;
        let mut out = private_file(path).map_err(failed)?;
        out.write_all(&text).and_then(|()| out.sync_all()).map_err(failed)
    }
}

/// Where a JSON error is, without the text around it, which may be a key.
fn place_of(error: &serde_json::Error) -> String {
    format!("JSON error in line {}, column {}", error.line(), error.column())
}

fn secret(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, bytes.as_mut()).ok()?;
    Some(bytes)
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Open { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_path: &Path) -> Result<(), KeyError> {
    Ok(())
}

/// Creates a file that only its owner may read; fails when there is one.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
