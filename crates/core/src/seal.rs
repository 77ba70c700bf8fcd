//! Sealed boxes (section 3, step 7, and repair, section 6.3): HPKE base mode with X-Wing (X25519 + ML-KEM-768),
//! HKDF-SHA256 and ChaCha20-Poly1305 (RFC 9180; draft-ietf-hpke-pq, KEM 0x647a, KDF 0x0001, AEAD 0x0003).
//!
//! A box is `enc || ciphertext || tag`. Base mode does not authenticate the sender; the commitments in the site's
//! signed message do, seed by seed.

use crate::mask::Seed;
use alloy_primitives::B256;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a public KEM key.
pub const PUBLIC_KEY_LEN: usize = 1216;
/// Bytes that sealing adds to a plaintext: the encapsulated key and the tag.
pub const OVERHEAD: usize = 1120 + 16;

const BOX_INFO: &[u8] = b"consilium v2 box";
const REPAIR_INFO: &[u8] = b"consilium v2 repair";

/// A box that cannot be opened: it was sealed to another key or for another context, or it was tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the box does not open with this node's key in this context")]
pub struct OpenError;

/// A public KEM key that is not a valid X-Wing key; its node gets an empty box and counts as silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a valid X-Wing public key")]
pub struct KeyError;

/// A node's secret KEM key for one epoch. Wiped on drop, never printed.
pub struct KemSecret {
    key: <XWing as Kem>::PrivateKey,
}

impl core::fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KemSecret(redacted)")
    }
}

impl KemSecret {
    /// The key pair that 32 secret bytes determine.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let (key, _) = XWing::derive_keypair(bytes);
        Self { key }
    }

    /// The public key to register.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        XWing::sk_to_pk(&self.key).to_bytes().to_vec()
    }

    fn open(&self, info: &[u8], sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (enc, ciphertext) = sealed.split_at_checked(OVERHEAD - 16).ok_or(OpenError)?;
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| OpenError)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, &self.key, &enc, info, ciphertext, aad)
            .map(Zeroizing::new)
            .map_err(|_| OpenError)
    }

    /// Opens node j's box: its seeds in the order of T.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_box(&self, context: &BoxContext, sealed: &[u8]) -> Result<Vec<Seed>, OpenError> {
        let plain = self.open(BOX_INFO, sealed, &context.aad())?;
        let (seeds, rest) = plain.as_chunks::<32>();
        if rest.is_empty() { Ok(seeds.iter().map(|bytes| Seed::new(*bytes)).collect()) } else { Err(OpenError) }
    }

    /// Opens the answer to a repair request for seed number `seed`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_repair(&self, context: &BoxContext, seed: usize, sealed: &[u8]) -> Result<Seed, OpenError> {
        let plain = self.open(REPAIR_INFO, sealed, &context.repair_aad(seed))?;
        let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| OpenError)?;
        Ok(Seed::new(*bytes))
    }
}

/// What a box is bound to: ctx, the contribution's digest and the node it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxContext {
    /// The contribution's context.
    pub ctx: B256,
    /// The contribution's digest.
    pub digest: B256,
    /// The node that may open the box, 1..=n.
    pub node: usize,
}

impl BoxContext {
    fn aad(&self) -> Vec<u8> {
        [self.ctx.as_slice(), self.digest.as_slice(), &(self.node as u64).to_le_bytes()].concat()
    }

    fn repair_aad(&self, seed: usize) -> Vec<u8> {
        [self.aad().as_slice(), &(seed as u64).to_le_bytes()].concat()
    }
}

fn seal(key: &[u8], info: &[u8], plain: &[u8], aad: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, KeyError> {
    let key = <XWing as Kem>::PublicKey::from_bytes(key).map_err(|_| KeyError)?;
    let mut rng = rng;
    let (enc, ciphertext) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Base, &key, info, plain, aad, &mut rng)
            .map_err(|_| KeyError)?;
    Ok([enc.to_bytes().as_slice(), &ciphertext].concat())
}

/// Checks a public KEM key: its length and the ML-KEM modulus check of FIPS 203, section 7.2.
///
/// # Errors
/// [`KeyError`].
pub fn check_public_key(key: &[u8]) -> Result<(), KeyError> {
    <XWing as Kem>::PublicKey::from_bytes(key).map(|_| ()).map_err(|_| KeyError)
}

/// Seals the seeds of one node to its public key.
///
/// # Errors
/// [`KeyError`] when the key fails its check: the node gets an empty box.
pub fn seal_box<'a>(
    key: &[u8],
    context: &BoxContext,
    seeds: impl Iterator<Item = &'a Seed>,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, KeyError> {
    let mut plain = Zeroizing::new(Vec::new());
    for seed in seeds {
        plain.extend_from_slice(seed.expose());
    }
    seal(key, BOX_INFO, &plain, &context.aad(), rng)
}

/// Seals one seed to a node that is entitled to it and whose own box was bad (section 6.3).
///
/// # Errors
/// [`KeyError`].
pub fn seal_repair(
    key: &[u8],
    context: &BoxContext,
    number: usize,
    seed: &Seed,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, KeyError> {
    seal(key, REPAIR_INFO, seed.expose(), &context.repair_aad(number), rng)
}
