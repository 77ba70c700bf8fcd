//! Sealed boxes (section 3, step 7, and repair, section 6.3): HPKE base mode with X-Wing (X25519 + ML-KEM-768),
//! HKDF-SHA256 and ChaCha20-Poly1305 (RFC 9180; draft-ietf-hpke-pq, KEM 0x647a, KDF 0x0001, AEAD 0x0003).
//!
//! A box is `enc || ciphertext || tag`. Base mode does not authenticate the sender; the commitments in the site's
//! signed message do, seed by seed.
//!
//! Whoever knows the randomness of an encapsulation opens the box without a key, and an encapsulation that is repeated uses a
//! key and nonce twice. The randomness is therefore never a generator's own: it is the stream of a hash over fresh bytes and the
//! seeds themselves, which are hedged with the device secret and the input. A generator whose state is known, or that
//! repeats itself, gives nothing away.

use crate::cores::Cores;
use crate::mask::{Seed, Seeds};
use crate::params::{CommitteeMembers, Member};
use crate::stream::Randomness;
use crate::transcript::Transcript;
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

/// 32 bytes of a generator, for one box.
struct Fresh(Zeroizing<[u8; 32]>);

impl Fresh {
    fn draw(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// The randomness of a box from H("seal", fresh bytes, the seeds, digest, node).
    fn hedged<'a>(&self, seeds: impl Iterator<Item = &'a Seed> + Clone, context: &BoxContext) -> Randomness {
        let mut hedge = Transcript::new("seal");
        hedge.part(self.0.as_ref()).part_header(32 * seeds.clone().count() as u64);
        for seed in seeds {
            hedge.part_bytes(seed.expose());
        }
        hedge.part(context.digest.as_slice()).part(&(context.node as u64).to_le_bytes());
        Randomness::new(&Zeroizing::new(hedge.finish().0))
    }
}

fn seal(key: &[u8], [info, plain, aad]: [&[u8]; 3], mut randomness: Randomness) -> Result<Vec<u8>, KeyError> {
    let (key, rng) = (<XWing as Kem>::PublicKey::from_bytes(key).map_err(|_| KeyError)?, &mut randomness);
    let (enc, ciphertext) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Base, &key, info, plain, aad, rng)
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

/// Seals to each member of a committee the seeds that it is entitled to, node 1 first; the box of a member whose key fails its check
/// is empty. `seeds` are all of the contribution with this context and digest: they hedge the boxes' randomness.
pub fn seal_boxes(
    cores: Cores,
    committee: &CommitteeMembers,
    [ctx, digest]: [B256; 2],
    seeds: &Seeds,
    rng: &mut dyn CryptoRng,
) -> Vec<Vec<u8>> {
    let members = (1..).zip(committee.members()).map(|(node, member)| (node, member, Fresh::draw(rng))).collect();
    cores.each(members, |(node, member, fresh): (usize, &Member, Fresh)| {
        let context = BoxContext { ctx, digest, node };
        let mut plain = Zeroizing::new(Vec::with_capacity(32 * seeds.as_slice().len()));
        for seed in committee.sizes().seeds_of(node).filter_map(|number| seeds.as_slice().get(number)) {
            plain.extend_from_slice(seed.expose());
        }
        let randomness = fresh.hedged(seeds.as_slice().iter(), &context);
        seal(&member.kem_key, [BOX_INFO, &plain, &context.aad()], randomness).unwrap_or_default()
    })
}

/// Seals one seed to a node that is entitled to it and whose own box was bad (section 6.3). The seed itself hedges the randomness.
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
    let randomness = Fresh::draw(rng).hedged(core::iter::once(seed), context);
    seal(key, [REPAIR_INFO, seed.expose(), &context.repair_aad(number)], randomness)
}
