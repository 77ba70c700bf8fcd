//! Merkle openings: a path leads to a root in one form only, and served bytes are the settled vector, proof of a flaw that
//! the contract accepts, or nothing.

use super::fixed::round;
use crate::parts::Parts;
use alloy_primitives::B256;
use consilium_core::field::{self, Fp};
use consilium_core::merkle::{self, LEAF_ELEMENTS, TreeKind};
use consilium_core::openings::{Flaw, Roots, Served, read};

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    match parts.byte() % 3 {
        0 => path(&mut parts),
        1 => served(&mut parts),
        _ => flaw(parts.rest()),
    }
}

/// A path that somebody gives for a leaf of a tree over some values, which begins with real siblings.
fn path(parts: &mut Parts<'_>) {
    let (length, index, real) = (parts.number() % 3_000 + 1, parts.number(), usize::from(parts.byte()));
    let values: Vec<Fp> = (0..length as u64).map(|i| Fp::reduce(i * i)).collect();
    let (leaves, root) = (merkle::vector_leaves(&values), merkle::vector_root(&values));
    let index = index % (leaves.len() + 2);
    let honest = if index < leaves.len() { merkle::open(&leaves, index) } else { Vec::new() };
    let mut path: Vec<B256> = honest.iter().take(real).copied().collect();
    path.extend(parts.take(32 * 40).as_chunks::<32>().0.iter().map(|bytes| B256::new(*bytes)));
    let leaf = leaves.get(index).copied().unwrap_or(leaves[0]);
    let leads = |length, leaf| merkle::check_path(TreeKind::Vector, length, leaves.len(), index, leaf, &path, &root);
    assert_eq!(leads(length as u64, leaf), index < leaves.len() && path == honest, "a path has one form");
    assert!(!leads(length as u64 + 1, leaf) && !leads(length as u64, B256::ZERO));
}

/// Bytes that a node serves, against their own root or another.
fn served(parts: &mut Parts<'_>) {
    let (length, tampered, point) = (parts.number() % 200 + 1, parts.byte(), parts.byte() % 6);
    let bytes = parts.take(8 * 300);
    let claimed = if tampered % 2 == 0 { bytes.len() / 8 } else { length };
    let root = root_of(claimed as u64, bytes);
    let mut shares = vec![B256::ZERO; 5];
    let roots = |shares: &mut Vec<B256>| {
        if let Some(slot) = usize::from(point).checked_sub(1) {
            shares[slot] = root;
        }
    };
    roots(&mut shares);
    let roots = Roots { aggregate: root, shares: &shares };
    match read(point, length, &root, bytes) {
        Served::Vector(values) => {
            assert_eq!((values.len(), merkle::vector_root(&values)), (length, root));
            assert!(field::to_bytes(&values).iter().zip(bytes).all(|(a, b)| a == b));
        }
        Served::Flaw(flaw) => assert!(flaw.holds(round().committee.sizes(), length, &roots), "a flaw that proves nothing"),
        Served::Other => {}
    }
}

/// The root over any words, canonical or not, by the definition of section 7.
fn root_of(length: u64, bytes: &[u8]) -> B256 {
    let leaf = |words: &[[u8; 8]]| {
        let mut content = [0; 8 * LEAF_ELEMENTS];
        for (slot, word) in content.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *slot = u64::from_le_bytes(*word).to_be_bytes();
        }
        merkle::leaf(&content)
    };
    merkle::root(TreeKind::Vector, length, bytes.as_chunks::<8>().0.chunks(LEAF_ELEMENTS).map(leaf).collect())
}

/// Evidence of a flaw from anybody, against an honest settlement: never proof.
fn flaw(json: &[u8]) {
    let Ok(flaw) = serde_json::from_slice::<Flaw>(json) else { return };
    let length = round().program.output_len();
    let vectors: Vec<Vec<Fp>> = (0..=5).map(|point| (0..length as u64).map(|i| Fp::reduce(i + 5 * point)).collect()).collect();
    let roots: Vec<B256> = vectors.iter().map(|values| merkle::vector_root(values)).collect();
    let roots = Roots { aggregate: roots[0], shares: &roots[1..] };
    assert!(!flaw.holds(round().committee.sizes(), length, &roots), "an honest settlement is shown to be wrong");
}
