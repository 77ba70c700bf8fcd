//! Sealed boxes. The plaintext behind the seal is an input of its own: it is sealed here by HPKE itself, with no help from
//! core, so that what the AEAD would stop reaches the decoder too.

use super::fixed::kem;
use crate::parts::Parts;
use alloy_primitives::B256;
use consilium_core::mask::Seed;
use consilium_core::seal::{BoxContext, KemSecret, OVERHEAD, PUBLIC_KEY_LEN, check_public_key, seal_repair};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use rand_core::SeedableRng as _;
use std::sync::OnceLock;

pub(crate) const CONTEXT: BoxContext = BoxContext { ctx: B256::repeat_byte(1), digest: B256::repeat_byte(2), node: 3 };

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    match parts.byte() % 4 {
        0 => any_bytes(parts.rest()),
        1 => any_plaintext(&mut parts),
        2 => any_repair(&mut parts),
        _ => any_public_key(parts.rest()),
    }
}

/// Node 3's key.
fn own() -> &'static KemSecret {
    static OWN: OnceLock<KemSecret> = OnceLock::new();
    OWN.get_or_init(|| kem(3))
}

/// Any bytes for a box: they open to whole seeds, or not.
fn any_bytes(sealed: &[u8]) {
    if let Ok(seeds) = own().open_box(&CONTEXT, sealed) {
        assert_eq!(sealed.len(), OVERHEAD + 32 * seeds.len());
    }
    let _ = own().open_repair(&CONTEXT, 1, sealed);
}

/// Any plaintext in a box: whole seeds come out as they went in, anything else is refused.
fn any_plaintext(parts: &mut Parts<'_>) {
    let (at, plain) = (parts.number(), parts.take(1_024));
    let mut sealed = seal(b"consilium v2 box", plain, &aad());
    match own().open_box(&CONTEXT, &sealed) {
        Ok(seeds) => {
            let exposed: Vec<u8> = seeds.iter().flat_map(|seed| *seed.expose()).collect();
            assert_eq!(exposed, plain);
        }
        Err(_) => assert!(!plain.len().is_multiple_of(32), "whole seeds were refused"),
    }
    let other = BoxContext { node: 4, ..CONTEXT };
    assert!(own().open_box(&other, &sealed).is_err(), "a box opens for another node");
    let at = at % sealed.len();
    sealed[at] ^= 1;
    // X25519 ignores the top bit of its last byte, which no flip of a lowest bit touches.
    assert!(own().open_box(&CONTEXT, &sealed).is_err(), "a box with another byte {at} opens");
}

/// Any plaintext in the answer to a request for repair: one seed, or refused.
fn any_repair(parts: &mut Parts<'_>) {
    let (number, plain) = (parts.byte(), parts.take(100));
    let aad = [aad(), u64::from(number).to_le_bytes().to_vec()].concat();
    let sealed = seal(b"consilium v2 repair", plain, &aad);
    match own().open_repair(&CONTEXT, number.into(), &sealed) {
        Ok(seed) => assert_eq!(seed.expose(), plain),
        Err(_) => assert_ne!(plain.len(), 32, "a whole seed was refused"),
    }
    assert!(own().open_repair(&CONTEXT, usize::from(number) + 1, &sealed).is_err());
}

/// Any bytes for a public key: what passes the check can be sealed to, and only that.
fn any_public_key(key: &[u8]) {
    let sealed = seal_repair(key, &CONTEXT, 3, &Seed::new([7; 32]), &mut rng());
    match check_public_key(key) {
        Ok(()) => {
            assert_eq!(key.len(), PUBLIC_KEY_LEN);
            assert_eq!(sealed.expect("a good key").len(), OVERHEAD + 32);
        }
        Err(_) => assert!(sealed.is_err()),
    }
}

fn aad() -> Vec<u8> {
    [CONTEXT.ctx.as_slice(), CONTEXT.digest.as_slice(), &(CONTEXT.node as u64).to_le_bytes()].concat()
}

fn rng() -> rand_chacha::ChaCha20Rng {
    rand_chacha::ChaCha20Rng::seed_from_u64(1)
}

fn seal(info: &[u8], plain: &[u8], aad: &[u8]) -> Vec<u8> {
    let key = <XWing as Kem>::PublicKey::from_bytes(&own().public_key()).expect("our own key");
    let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        info,
        plain,
        aad,
        &mut rng(),
    );
    let (enc, ciphertext) = sealed.expect("any plaintext can be sealed");
    [enc.to_bytes().as_slice(), &ciphertext].concat()
}
