//! Domain-separated hashing (section 7) and the hashes that bind a contribution to its context (section 3).
//!
//! All labels of the protocol stand in this file, in [`stream`](crate::stream) and in [`seal`](crate::seal); every one
//! starts with `consilium v1`.

use crate::cores::Cores;
use crate::field::{self, Fp};
use alloy_primitives::{Address, B256};
use blake3::hazmat::{self, HasherExt};

/// The version string that starts every label.
pub const VERSION: &str = "consilium v1";

/// H(label, parts...): BLAKE3 `derive_key` with context `consilium v1 <label>`, each part prefixed by its length as
/// u64 little-endian.
#[must_use]
pub fn hash(label: &str, parts: &[&[u8]]) -> B256 {
    let mut transcript = Transcript::new(label);
    for part in parts {
        transcript.part(part);
    }
    transcript.finish()
}

/// H(label, ...) with parts that arrive one by one.
#[derive(Debug, Clone)]
pub struct Transcript(blake3::Hasher);

impl Transcript {
    /// Starts H(label, ...).
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(&format!("{VERSION} {label}")))
    }

    /// Appends one part.
    pub fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.part_header(bytes.len() as u64).part_bytes(bytes)
    }

    /// Starts a part of `length` bytes whose content follows in pieces.
    pub fn part_header(&mut self, length: u64) -> &mut Self {
        self.part_bytes(&length.to_le_bytes())
    }

    /// Appends a piece of the part that [`Self::part_header`] started.
    pub fn part_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest.
    #[must_use]
    pub fn finish(&self) -> B256 {
        B256::from(*self.0.finalize().as_bytes())
    }
}

/// The bytes of a list of hashes, one after the other.
pub(crate) fn concat(hashes: &[B256]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// H("values", c): the content address of a masked vector, over its little-endian bytes.
#[must_use]
pub fn values_hash(values: &[u8]) -> B256 {
    hash("values", &[values])
}

/// Bytes that are hashed in one piece, so that they stay in the cache and BLAKE3 still fills its vectors.
pub(crate) const PIECE: usize = 1 << 17;

/// H("values", c) of a vector, without a copy of all its bytes. BLAKE3 is a tree: each core hashes subtrees of
/// [`PIECE`] bytes, of which the first starts with the length.
pub(crate) fn values_hash_of(cores: Cores, values: &[Fp]) -> B256 {
    let header = (8 * values.len() as u64).to_le_bytes();
    let length = header.len() + 8 * values.len();
    if length <= PIECE {
        return values_hash(&field::to_bytes(values));
    }
    let key = hazmat::hash_derive_key_context(&format!("{VERSION} values"));
    let (first, rest) = values.split_at((PIECE - header.len()) / 8);
    let pieces = core::iter::once(first).chain(rest.chunks(PIECE / 8)).enumerate().collect();
    let subtree = |(number, piece): (usize, &[Fp])| {
        let mut hasher = blake3::Hasher::new_from_context_key(&key);
        hasher.set_input_offset((number * PIECE) as u64);
        hasher.update(if number == 0 { &header } else { &[] }).update(&field::to_bytes(piece)).finalize_non_root()
    };
    let subtrees = cores.each(pieces, subtree);
    let mode = hazmat::Mode::DeriveKeyMaterial(&key);
    let (left, right) = children(&subtrees);
    let hash = hazmat::merge_subtrees_root(&merge(left, mode), &merge(right, mode), mode);
    B256::from(*hash.as_bytes())
}

/// The chaining value over subtrees of one size, the last of which may be smaller.
fn merge(subtrees: &[hazmat::ChainingValue], mode: hazmat::Mode<'_>) -> hazmat::ChainingValue {
    if let [one] = subtrees {
        return *one;
    }
    let (left, right) = children(subtrees);
    hazmat::merge_subtrees_non_root(&merge(left, mode), &merge(right, mode), mode)
}

/// The largest power of two that leaves something on the right is on the left.
fn children(subtrees: &[hazmat::ChainingValue]) -> (&[hazmat::ChainingValue], &[hazmat::ChainingValue]) {
    subtrees.split_at(subtrees.len().next_power_of_two() / 2)
}

/// com_i = H("seed", ctx, i, k_i): the commitment to seed number i.
#[must_use]
pub fn seed_commitment(ctx: &B256, index: u64, seed: &[u8; 32]) -> B256 {
    hash("seed", &[ctx.as_slice(), &index.to_le_bytes(), seed])
}

/// The hash over the sealed boxes of nodes 1..n.
#[must_use]
pub fn boxes_hash(boxes: &[Vec<u8>]) -> B256 {
    let parts: Vec<&[u8]> = boxes.iter().map(Vec::as_slice).collect();
    hash("boxes", &parts)
}

/// What an [`Access`](crate::eip712::Access) statement names: H("access", method, path, body) of the HTTP request that it
/// authorises. `path` is the absolute path with its query; `body` is empty for GET.
#[must_use]
pub fn access_object(method: &str, path: &str, body: &[u8]) -> B256 {
    hash("access", &[method.as_bytes(), path.as_bytes(), body])
}

/// Everything that a contribution is bound to. Every verifier builds it itself from the chain; nothing in it is taken
/// from the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The Consilium contract.
    pub contract: Address,
    /// Study number.
    pub study: u64,
    /// Round number within the study.
    pub round: u64,
    /// Kind of job; [`KIND_SUM`](crate::params::KIND_SUM).
    pub kind: u64,
    /// What the round is about, for example the digest of the base model.
    pub subject: B256,
    /// [`committee_hash`](crate::params::CommitteeMembers::hash).
    pub committee: B256,
    /// Hash of the program and its parameters.
    pub program: B256,
    /// Hash of what `open` froze.
    pub policy: B256,
}

impl Context {
    /// ctx of one site's contribution: H("context", chain id, contract, study, round, kind, subject, committee hash,
    /// program hash, policy hash, site).
    #[must_use]
    pub fn of_site(&self, site: Address) -> B256 {
        let mut numbers = [0; 24];
        numbers[..8].copy_from_slice(&self.study.to_le_bytes());
        numbers[8..16].copy_from_slice(&self.round.to_le_bytes());
        numbers[16..].copy_from_slice(&self.kind.to_le_bytes());
        hash(
            "context",
            &[
                &self.chain_id.to_le_bytes(),
                self.contract.as_slice(),
                &numbers,
                self.subject.as_slice(),
                self.committee.as_slice(),
                self.program.as_slice(),
                self.policy.as_slice(),
                site.as_slice(),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vector_hashes_as_its_bytes_on_any_number_of_cores(pieces in 0usize..10, more in 0usize..300, threads in 1usize..5) {
            let length = (pieces * PIECE / 8 + more).saturating_sub(150);
            let values: Vec<Fp> = (0..length as u64).map(|i| Fp::reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
            let want = values_hash(&field::to_bytes(&values));
            prop_assert_eq!(values_hash_of(Cores::new(threads.try_into().unwrap()), &values), want);
        }
    }
}
