//! Signed statements: EIP-712 typed data that wallets, contracts and Rust read alike (section 7).
//!
//! Signatures are 65 bytes r || s || v over the EIP-712 digest, low s only, v 27 or 28, so that a statement has exactly
//! one signature per key that anyone else could make from it.

use crate::error::SignatureError;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use k256::ecdsa::{SigningKey, VerifyingKey};
use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::ops::{Invert, LinearCombination, Reduce};
use k256::elliptic_curve::point::DecompressPoint;
use k256::{AffinePoint, ProjectivePoint, Scalar};
use std::collections::BTreeMap;

#[allow(missing_docs, reason = "generated from the type strings; the docs are in docs/PROTOCOL.md, section 7")]
mod generated {
    alloy_sol_types::sol! {
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Contribution { uint64 study; uint64 round; address site; bytes32 digest; bytes32 boxes; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Receipt { uint64 study; uint64 round; address site; bytes32 digest; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Vote { uint64 study; uint64 round; bytes32 setRoot; uint32 size; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Final { uint64 study; bytes32 subject; uint64 round; bytes32 setRoot; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct ShareRoot { uint64 study; uint64 round; bytes32 setRoot; uint8 index; bytes32 root; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Settlement { uint64 study; uint64 round; bytes32 setRoot; bytes32 shareRootsHash; bytes32 aggregateRoot; bytes32 rewardRoot; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Intent { uint64 study; uint64 round; uint8 kind; bytes32 hash; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct Access { uint64 study; uint64 round; bytes32 object; uint64 expires; }
        #[derive(Debug, PartialEq, Eq, Hash)]
        struct SafeMessage { bytes message; }
    }
}

pub use generated::{Access, Contribution, Final, Intent, Receipt, SafeMessage, Settlement, ShareRoot, Vote};

/// The EIP-712 domain of one Consilium contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// EIP-155 chain id; the protocol refuses ids over u64.
    pub chain_id: u64,
    /// The Consilium contract.
    pub contract: Address,
}

impl Domain {
    /// The EIP-712 digest of a statement in this domain.
    #[must_use]
    pub fn digest<S: SolStruct>(&self, statement: &S) -> B256 {
        let domain = Eip712Domain::new(
            Some("Consilium".into()),
            Some("1".into()),
            Some(U256::from(self.chain_id)),
            Some(self.contract),
            None,
        );
        statement.eip712_signing_hash(&domain)
    }

    /// Signs a statement.
    #[must_use]
    pub fn sign<S: SolStruct>(&self, key: &SecretKey, statement: &S) -> Signed {
        key.sign(&self.digest(statement))
    }

    /// Checks that `expected` signed the statement.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn check<S: SolStruct>(&self, statement: &S, signature: &Signed, expected: Address) -> Result<(), SignatureError> {
        let found = self.signer(statement, signature)?;
        if found == expected { Ok(()) } else { Err(SignatureError::WrongSigner { expected, found }) }
    }

    /// Who signed the statement.
    ///
    /// # Errors
    /// [`SignatureError::NotCanonical`].
    pub fn signer<S: SolStruct>(&self, statement: &S, signature: &Signed) -> Result<Address, SignatureError> {
        signature.recover(&self.digest(statement)).ok_or(SignatureError::NotCanonical)
    }
}

/// A canonical 65-byte signature: r || s || v, low s, v 27 or 28.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signed([u8; 65]);

impl core::fmt::Debug for Signed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signed({})", hex::encode(&self.0[..8]))
    }
}

impl serde::Serialize for Signed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode_prefixed(self.0))
    }
}

impl<'de> serde::Deserialize<'de> for Signed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

impl Signed {
    /// Checks the form of a signature.
    ///
    /// # Errors
    /// [`SignatureError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let array: [u8; 65] = bytes.try_into().map_err(|_| SignatureError::NotCanonical)?;
        let parsed = Signature::from_raw_array(&array).map_err(|_| SignatureError::NotCanonical)?;
        let low_s = parsed.normalize_s().is_none();
        let in_range = parsed.to_k256().is_ok();
        if low_s && in_range && matches!(array[64], 27 | 28) { Ok(Self(array)) } else { Err(SignatureError::NotCanonical) }
    }

    /// The 65 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The signature in the two words of EIP-2098, in which proofs go to the contracts: r, then s with v - 27 in its highest
    /// bit, which a low s leaves free.
    #[must_use]
    pub fn to_compact(&self) -> [B256; 2] {
        let [words @ .., v] = &self.0;
        let (r, s) = words.split_at(B256::len_bytes());
        let mut vs = B256::from_slice(s);
        vs[0] |= (v - 27) << 7;
        [B256::from_slice(r), vs]
    }

    /// Reads [`Self::to_compact`] back.
    ///
    /// # Errors
    /// [`SignatureError::NotCanonical`].
    pub fn from_compact([r, mut vs]: [B256; 2]) -> Result<Self, SignatureError> {
        let v = 27 + (vs[0] >> 7);
        vs[0] &= 0x7f;
        Self::from_bytes(&[r.as_slice(), vs.as_slice(), &[v]].concat())
    }

    /// The one key under which this is a signature of the digest: Q = r^-1 (s R - z G) (SEC 1, 4.1.6). The library's own
    /// recovery verifies the signature under Q once more, which Q satisfies by its definition and which doubles the time.
    fn recover(&self, digest: &B256) -> Option<Address> {
        let signature = Signature::from_raw_array(&self.0).ok()?;
        let (r, s) = signature.to_k256().ok()?.split_scalars();
        let parity = u8::from(signature.v()).into();
        let nonce = Option::<AffinePoint>::from(AffinePoint::decompress(&r.to_repr(), parity))?;
        let hash = <Scalar as Reduce<k256::U256>>::reduce_bytes(&digest.0.into());
        let inverse = *r.invert_vartime();
        let key =
            ProjectivePoint::lincomb(&ProjectivePoint::GENERATOR, &-(inverse * hash), &nonce.into(), &(inverse * s.as_ref()));
        VerifyingKey::from_affine(key.to_affine()).ok().map(|key| Address::from_public_key(&key))
    }
}

/// A secp256k1 signing key. Wiped on drop by its library, never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

impl SecretKey {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// [`SignatureError::SecretKey`] for zero and for values not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SignatureError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| SignatureError::SecretKey)
    }

    /// The key's 20-byte address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::from_public_key(self.0.verifying_key())
    }

    /// Signs a 32-byte digest, deterministically (RFC 6979) and with low s.
    #[must_use]
    pub fn sign(&self, digest: &B256) -> Signed {
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(digest.as_slice())
            .unwrap_or_else(|_| unreachable!("RFC 6979 yields a valid nonce for a 32-byte digest"));
        Signed(Signature::from_signature_and_parity(signature, recovery.is_y_odd()).normalized_s().as_bytes())
    }
}

/// Signatures by committee members, as the contract takes them: bit j-1 of `signers` stands for node j, signatures in
/// the order of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerSet {
    /// Bitmap of signers.
    pub signers: U256,
    /// 65 bytes a signer.
    pub signatures: Bytes,
}

impl SignerSet {
    /// Collects signatures by node number 1..=n.
    #[must_use]
    pub fn collect(signatures: &BTreeMap<usize, Signed>) -> Self {
        let mut signers = U256::ZERO;
        let mut bytes = Vec::with_capacity(65 * signatures.len());
        for (&node, signature) in signatures {
            signers.set_bit(node - 1, true);
            bytes.extend_from_slice(signature.as_bytes());
        }
        Self { signers, signatures: bytes.into() }
    }
}

/// The node numbers in a signer bitmap, increasing.
#[must_use]
pub fn nodes_in(signers: U256) -> Vec<usize> {
    (0..256).filter(|&bit| signers.bit(bit)).map(|bit| bit + 1).collect()
}
