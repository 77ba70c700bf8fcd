//! Domain-separated hashing (section 7) and the hashes that bind a contribution to its context (section 3).
//!
//! Every label of the protocol starts with `consilium v2`; docs/PROTOCOL.md, section 7.1, lists them.

use crate::cores::Cores;
use crate::field::Fp;
use crate::simd::{self, Word};
use alloy_primitives::{Address, B256};
use blake3::hazmat::{self, HasherExt};
use core::ops::Range;
use zeroize::{Zeroize, Zeroizing};

/// The version string that starts every label.
pub const VERSION: &str = "consilium v2";

/// H(label, parts...): BLAKE3 `derive_key` with context `consilium v2 <label>`, each part prefixed by its length as
/// u64 little-endian.
#[must_use]
pub fn hash(label: &str, parts: &[&[u8]]) -> B256 {
    let mut transcript = Transcript::new(label);
    for part in parts {
        transcript.part(part);
    }
    transcript.finish()
}

/// H(label, ...) with parts that arrive one by one. Wiped on drop, as secrets are among what is hashed.
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
        self.part_bytes(&header(length))
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

impl Drop for Transcript {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Bytes of a part's length before it.
const HEADER: usize = 8;

/// What stands before a part of that many bytes.
fn header(length: u64) -> [u8; HEADER] {
    length.to_le_bytes()
}

/// Parts as they are hashed, one after the other; wiped, as there may be secrets among them.
fn framed(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| HEADER + part.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + HEADER));
    for part in parts {
        bytes.extend_from_slice(&header(part.len() as u64));
        bytes.extend_from_slice(part);
    }
    bytes
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

/// H("values", c) of a vector.
pub(crate) fn values_hash_of(cores: Cores, values: &[Fp]) -> B256 {
    VectorHash::new(cores, "values", [&[], &[]], values).of(&[], &[])
}

/// H(label, before..., vector, after...) with one long vector among the parts, without a copy of its bytes. BLAKE3 is a tree:
/// each core hashes subtrees of at most [`PIECE`] bytes, and those that have bytes of the vector alone are hashed once for all
/// parts that come before and after it.
pub(crate) struct VectorHash<'a, W> {
    key: hazmat::ContextKey,
    values: &'a [W],
    /// Where the vector lies in the message, which has whole words before it.
    vector: Range<usize>,
    length: usize,
    /// The subtrees that have bytes of the vector alone, from left to right.
    inner: Zeroizing<Vec<hazmat::ChainingValue>>,
}

impl<'a, W: Word> VectorHash<'a, W> {
    /// For parts of these lengths before and after the vector, whole words all of them.
    pub(crate) fn new(cores: Cores, label: &str, [before, after]: [&[usize]; 2], values: &'a [W]) -> Self {
        let framed = |lengths: &[usize]| lengths.iter().map(|length| HEADER + length).sum::<usize>();
        let key = hazmat::hash_derive_key_context(&format!("{VERSION} {label}"));
        let start = framed(before) + HEADER;
        let vector = start..start + 8 * values.len();
        let length = vector.end + framed(after);
        let mut hash = Self { key, values, vector, length, inner: Zeroizing::default() };
        let mut inner = Vec::new();
        hash.fold(0..length, &mut |subtree| {
            if hash.is_inner(&subtree) {
                inner.push(subtree);
            }
            hazmat::ChainingValue::default()
        });
        let mut hashed = Zeroizing::new(vec![hazmat::ChainingValue::default(); inner.len()]);
        let parts = inner.into_iter().zip(hashed.iter_mut()).collect();
        cores.each(parts, |(subtree, value): (_, &mut _)| *value = hash.subtree(subtree, &[], &[]));
        hash.inner = hashed;
        hash
    }

    /// The hash with these parts, which have the lengths that were said.
    pub(crate) fn of(&self, before: &[&[u8]], after: &[&[u8]]) -> B256 {
        let mut head = framed(before);
        head.extend_from_slice(&header(8 * self.values.len() as u64));
        let tail = framed(after);
        assert_eq!((head.len(), self.vector.end + tail.len()), (self.vector.start, self.length));
        if self.length <= blake3::CHUNK_LEN {
            let mut hasher = blake3::Hasher::new_from_context_key(&self.key);
            self.update(&mut hasher, 0..self.length, &head, &tail);
            let hash = B256::from(*hasher.finalize().as_bytes());
            hasher.zeroize();
            return hash;
        }
        let mut inner = self.inner.iter();
        let mut value = |subtree: Range<usize>| {
            let known = if self.is_inner(&subtree) { inner.next() } else { None };
            known.copied().unwrap_or_else(|| self.subtree(subtree, &head, &tail))
        };
        let [left, right] = halves(0..self.length).map(|half| self.fold(half, &mut value));
        B256::from(*hazmat::merge_subtrees_root(&left, &right, self.mode()).as_bytes())
    }

    /// The chaining value over the message's bytes `range`, a subtree, from those of subtrees that are chunks, or inner ones
    /// that are no larger than a piece.
    fn fold(
        &self,
        range: Range<usize>,
        subtree: &mut impl FnMut(Range<usize>) -> hazmat::ChainingValue,
    ) -> hazmat::ChainingValue {
        let most = if self.is_inner(&range) { PIECE } else { blake3::CHUNK_LEN };
        if range.len() <= most {
            return subtree(range);
        }
        let [left, right] = halves(range).map(|half| self.fold(half, subtree));
        hazmat::merge_subtrees_non_root(&left, &right, self.mode())
    }

    fn mode(&self) -> hazmat::Mode<'_> {
        hazmat::Mode::DeriveKeyMaterial(&self.key)
    }

    /// Whether a subtree has bytes of the vector alone.
    fn is_inner(&self, subtree: &Range<usize>) -> bool {
        self.vector.start <= subtree.start && subtree.end <= self.vector.end
    }

    fn subtree(&self, range: Range<usize>, head: &[u8], tail: &[u8]) -> hazmat::ChainingValue {
        let mut hasher = blake3::Hasher::new_from_context_key(&self.key);
        hasher.set_input_offset(range.start as u64);
        self.update(&mut hasher, range, head, tail);
        let value = hasher.finalize_non_root();
        hasher.zeroize();
        value
    }

    /// Hashes the message's bytes `range`: what it has of the head, of the vector and of the tail.
    fn update(&self, hasher: &mut blake3::Hasher, range: Range<usize>, head: &[u8], tail: &[u8]) {
        // Of `length` bytes that lie in the message from `at` on, those in the range.
        let within = |at: usize, length: usize| {
            let inside = |end: usize| end.saturating_sub(at).min(length);
            inside(range.start)..inside(range.end)
        };
        let words = within(self.vector.start, self.vector.len());
        hasher.update(head.get(within(0, self.vector.start)).unwrap_or_default());
        simd::with_le_bytes(&self.values[words.start / 8..words.end / 8], |bytes| hasher.update(bytes).count());
        hasher.update(tail.get(within(self.vector.end, tail.len())).unwrap_or_default());
    }
}

/// The two subtrees of one with these bytes, more than a chunk.
fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + hazmat::left_subtree_len(range.len() as u64) as usize;
    [range.start..middle, middle..range.end]
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
    use crate::field;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vector_hashes_as_its_bytes_on_any_number_of_cores_and_among_other_parts(
            pieces in 0usize..6, more in prop_oneof![0usize..300, 0usize..PIECE / 8], threads in 1usize..5, head in 0usize..300,
        ) {
            let length = (pieces * PIECE / 8 + more).saturating_sub(150);
            let values: Vec<Fp> = (0..length as u64).map(|i| Fp::reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
            let want = values_hash(&field::to_bytes(&values));
            let cores = Cores::new(threads.try_into().unwrap());
            prop_assert_eq!(values_hash_of(cores, &values), want);

            let (secret, ctx, bytes) = ([7; 32], B256::repeat_byte(9), field::to_bytes(&values));
            let with_parts = VectorHash::new(cores, "hedge", [&[32; 3], &[8]], &values);
            for i in [0_u64, 300] {
                let want = hash("hedge", &[&[i as u8; 32], &secret, ctx.as_slice(), &bytes, &i.to_le_bytes()]);
                prop_assert_eq!(with_parts.of(&[&[i as u8; 32], &secret, ctx.as_slice()], &[&i.to_le_bytes()]), want);
            }
            let numbers: Vec<f64> = (0..length).map(|i| (i as f64).sin()).collect();
            let bytes_of_numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            prop_assert_eq!(VectorHash::new(cores, "numbers", [&[], &[]], &numbers).of(&[], &[]), hash("numbers", &[&bytes_of_numbers]));
            let head = vec![9; 8 * head];
            let long = VectorHash::new(cores, "long", [&[head.len()], &[]], &values);
            prop_assert_eq!(long.of(&[&head], &[]), hash("long", &[&head, &bytes]));
        }
    }
}
