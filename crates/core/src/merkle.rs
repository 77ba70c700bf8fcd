//! SHA-256 Merkle trees that a contract can open (section 7): leaves start with 0x00, nodes with 0x01, and an odd last
//! node is promoted unhashed. The top of every tree binds its kind and its length, so the shape of a path follows from
//! the length alone.

use crate::cores::Cores;
use crate::field::Fp;
use crate::simd::sha256::Pairs;
use alloy_primitives::B256;
use sha2::{Digest, Sha256};

/// Field elements in one leaf of a vector tree.
pub const LEAF_ELEMENTS: usize = 32;

/// What a tree is over; the first byte under its top hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeKind {
    /// A vector of field elements (0x02).
    Vector,
    /// A certified set (0x03).
    Set,
    /// The rewards of a round (0x04).
    Reward,
    /// The admitted sites of a study (0x05).
    Sites,
    /// The admitted sites of a study, with their powers (0x06).
    Powers,
}

impl TreeKind {
    fn byte(self) -> u8 {
        match self {
            Self::Vector => 2,
            Self::Set => 3,
            Self::Reward => 4,
            Self::Sites => 5,
            Self::Powers => 6,
        }
    }
}

fn sha256(parts: &[&[u8]]) -> B256 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    B256::new(hasher.finalize().into())
}

/// The hash of a leaf's bytes.
#[must_use]
pub fn leaf(bytes: &[u8]) -> B256 {
    sha256(&[&[0], bytes])
}

fn parent(left: &B256, right: &B256) -> B256 {
    sha256(&[&[1], left.as_slice(), right.as_slice()])
}

fn level_up(level: &[B256]) -> Vec<B256> {
    let mut parents = Vec::with_capacity(level.len().div_ceil(2));
    let mut rest = level;
    if let Some(pairs) = Pairs::detect() {
        let (fours, odd) = level.as_chunks::<4>();
        for [a, b, c, d] in fours {
            parents.extend(pairs.parents(1, [&[a.0, b.0], &[c.0, d.0]]).map(B256::new));
        }
        rest = odd;
    }
    parents.extend(rest.chunks(2).map(|pair| if let [left, right] = pair { parent(left, right) } else { pair[0] }));
    parents
}

/// The top hash of a tree over leaves; `length` counts what the leaves hold (elements of a vector, members of a set).
/// A tree without leaves has the top hash over the length alone.
#[must_use]
pub fn root(kind: TreeKind, length: u64, leaves: Vec<B256>) -> B256 {
    sha256(&[&preimage(kind, length, leaves)])
}

/// What the top hash is the SHA-256 of: kind, length, and the hash of the tree if it has leaves.
#[must_use]
pub fn preimage(kind: TreeKind, length: u64, leaves: Vec<B256>) -> Vec<u8> {
    let mut level = leaves;
    while level.len() > 1 {
        level = level_up(&level);
    }
    let tree: &[u8] = level.first().map_or(&[], |hash| hash.as_slice());
    [&[kind.byte()], &length.to_be_bytes()[..], tree].concat()
}

/// Whether a root is the SHA-256 of bytes that are no top of a tree of this kind and length with leaves: then nothing can be
/// under it.
#[must_use]
pub fn is_no_top(kind: TreeKind, length: u64, root: &B256, preimage: &[u8]) -> bool {
    let start = [&[kind.byte()], &length.to_be_bytes()[..]].concat();
    let is_top = preimage.len() == start.len() + 32 && preimage.starts_with(&start);
    sha256(&[preimage]) == *root && !is_top
}

fn top(kind: TreeKind, length: u64, tree: Option<&B256>) -> B256 {
    sha256(&[&[kind.byte()], &length.to_be_bytes(), tree.map_or(&[], |hash| hash.as_slice())])
}

/// The leaf hashes of a vector: 32 big-endian words each, the last one padded with zeros.
#[must_use]
pub fn vector_leaves(values: &[Fp]) -> Vec<B256> {
    let mut leaves = Vec::with_capacity(values.len().div_ceil(LEAF_ELEMENTS));
    let mut rest = values;
    if let Some(pairs) = Pairs::detect() {
        let (whole, _) = values.as_chunks::<LEAF_ELEMENTS>();
        let (twos, _) = whole.as_chunks::<2>();
        for [first, second] in twos {
            leaves.extend(pairs.leaves(0, [first, second]).map(B256::new));
        }
        rest = &values[2 * LEAF_ELEMENTS * twos.len()..];
    }
    leaves.extend(rest.chunks(LEAF_ELEMENTS).map(|chunk| leaf(&leaf_bytes(chunk))));
    leaves
}

/// The bytes of one leaf of a vector: 256 bytes.
#[must_use]
pub fn leaf_bytes(chunk: &[Fp]) -> [u8; 8 * LEAF_ELEMENTS] {
    let mut bytes = [0; 8 * LEAF_ELEMENTS];
    for (slot, value) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(chunk) {
        *slot = value.value().to_be_bytes();
    }
    bytes
}

/// The root of a vector.
#[must_use]
pub fn vector_root(values: &[Fp]) -> B256 {
    vector_root_on(Cores::ONE, values)
}

/// [`vector_root`] on several cores.
#[must_use]
pub fn vector_root_on(cores: Cores, values: &[Fp]) -> B256 {
    let parts: Vec<&[Fp]> = cores.ranges(values.len(), SUBTREE_ELEMENTS).into_iter().map(|range| &values[range]).collect();
    let subtrees = |part: &[Fp]| part.chunks(SUBTREE_ELEMENTS).map(subtree).collect::<Vec<_>>();
    root(TreeKind::Vector, values.len() as u64, cores.each(parts, subtrees).concat())
}

/// Levels of the trees over parts of a vector, whose leaves stay in the cache.
const SUBTREE_LEVELS: u32 = 8;
/// Elements under the top of such a tree.
pub(crate) const SUBTREE_ELEMENTS: usize = LEAF_ELEMENTS << SUBTREE_LEVELS;

/// The node that many levels above the leaves of at most [`SUBTREE_ELEMENTS`] elements, but no element.
pub(crate) fn subtree(values: &[Fp]) -> B256 {
    let mut level = vector_leaves(values);
    while level.len() > 1 {
        level = level_up(&level);
    }
    level[0]
}

/// The siblings from leaf `index` to the tree's root, bottom first. A promoted node has no sibling on that level.
#[must_use]
pub fn open(leaves: &[B256], index: usize) -> Vec<B256> {
    Levels::new(leaves.to_vec()).open(index)
}

/// A whole tree, for whoever opens many of its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Vec<Vec<B256>>);

impl Levels {
    /// The tree over these leaves.
    #[must_use]
    pub fn new(leaves: Vec<B256>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            levels.push(level_up(level));
        }
        Self(levels)
    }

    /// As [`open`]. Nothing for a leaf that there is not.
    #[must_use]
    pub fn open(&self, index: usize) -> Vec<B256> {
        let below = self.0.iter().take(self.0.len() - 1).enumerate();
        below.filter_map(|(height, level)| level.get((index >> height) ^ 1).copied()).collect()
    }
}

/// Whether `path` leads from leaf number `index` to the top hash of a tree with `leaves` leaves. The path's shape
/// follows from `index` and `leaves`, so that a path has exactly one form.
#[must_use]
pub fn check_path(kind: TreeKind, length: u64, leaves: usize, index: usize, leaf: B256, path: &[B256], want: &B256) -> bool {
    let (mut hash, mut index, mut width, mut siblings) = (leaf, index, leaves, path.iter());
    if index >= width {
        return false;
    }
    while width > 1 {
        if index ^ 1 < width {
            let Some(sibling) = siblings.next() else { return false };
            hash = if index & 1 == 0 { parent(&hash, sibling) } else { parent(sibling, &hash) };
        }
        index /= 2;
        width = width.div_ceil(2);
    }
    siblings.next().is_none() && top(kind, length, Some(&hash)) == *want
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_leaf_opens_and_nothing_else_does(count in 1usize..40, pick in any::<usize>(), flip in any::<usize>()) {
            let values: Vec<Fp> = (0..count as u64 * 32 - 5).map(Fp::reduce).collect();
            let leaves = vector_leaves(&values);
            let want = vector_root(&values);
            let (index, length) = (pick % count, values.len() as u64);
            let path = open(&leaves, index);
            let check = |length, count, index, leaf, path: &[B256]| check_path(TreeKind::Vector, length, count, index, leaf, path, &want);
            prop_assert!(check(length, count, index, leaves[index], &path));
            prop_assert!(!check(length + 1, count, index, leaves[index], &path));
            prop_assert!(!check(length, count, index, leaf(b"other"), &path));
            let mut longer = path.clone();
            longer.push(B256::ZERO);
            prop_assert!(!check(length, count, index, leaves[index], &longer));
            if !path.is_empty() {
                let mut wrong = path.clone();
                let at = flip % wrong.len();
                wrong[at].0[flip % 32] ^= 1;
                prop_assert!(!check(length, count, index, leaves[index], &wrong));
                prop_assert!(!check(length, count, index, leaves[index], &path[1..]));
            }
        }
    }

    proptest! {
        #[test]
        fn vector_roots_are_those_of_single_hashes(count in prop_oneof![1usize..700, 1usize..70_000], threads in 1usize..5) {
            let values: Vec<Fp> = (0..count as u64).map(|i| Fp::reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
            let mut level: Vec<B256> = values.chunks(LEAF_ELEMENTS).map(|chunk| leaf(&leaf_bytes(chunk))).collect();
            while level.len() > 1 {
                level = level.chunks(2).map(|pair| if let [left, right] = pair { parent(left, right) } else { pair[0] }).collect();
            }
            let want = top(TreeKind::Vector, count as u64, level.first());
            prop_assert_eq!(vector_root(&values), want);
            prop_assert_eq!(vector_root_on(Cores::new(threads.try_into().unwrap()), &values), want);
        }
    }

    #[test]
    fn a_set_tree_is_no_vector_tree() {
        let leaves = vec![leaf(b"a"), leaf(b"b")];
        assert_ne!(root(TreeKind::Set, 2, leaves.clone()), root(TreeKind::Sites, 2, leaves));
    }
}
