//! A Merkle-Patricia trie whose versions share their nodes.
//!
//! Every write returns to the same `Trie` value but leaves the nodes of earlier clones alone: a clone
//! is one pointer, so a chain can keep the state of many blocks and a simulator can fork at will.
//! The hash of a node is computed once, when the root is first asked for; a block that changes ten
//! slots therefore hashes only the paths to those ten slots.
//!
//! Keys are always 32 bytes (hashes of addresses and slots), so a branch never holds a value of its
//! own. Encoding is that of the Ethereum yellow paper, appendix D; `alloy-trie` does the bytes.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, keccak256};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};

/// What a leaf must do to be hashed.
pub(crate) trait Leaf: Clone {
    /// The RLP that the trie commits to.
    fn encode_leaf(&self) -> Vec<u8>;
}

/// A map from 32-byte keys to leaves with a Merkle root. Cloning is one pointer copy.
#[derive(Clone, Debug)]
pub(crate) struct Trie<V> {
    root: Link<V>,
}

type Link<V> = Option<Arc<Node<V>>>;

#[derive(Debug)]
struct Node<V> {
    kind: Kind<V>,
    encoded: OnceLock<RlpNode>,
}

#[derive(Debug)]
enum Kind<V> {
    Leaf { path: Nibbles, value: V },
    Extension { path: Nibbles, child: Arc<Node<V>> },
    Branch { children: Box<[Link<V>; 16]> },
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V: Leaf> Trie<V> {
    /// The value under `key`.
    pub(crate) fn get(&self, key: &B256) -> Option<&V> {
        let path = Nibbles::unpack(key);
        let mut at = 0;
        let mut node = self.root.as_deref()?;
        loop {
            match &node.kind {
                Kind::Leaf { path: rest, value } => {
                    return (path.slice(at..) == *rest).then_some(value);
                }
                Kind::Extension { path: shared, child } => {
                    if path.slice(at..).common_prefix_length(shared) < shared.len() {
                        return None;
                    }
                    at += shared.len();
                    node = child;
                }
                Kind::Branch { children } => {
                    node = children[usize::from(path.get(at)?)].as_deref()?;
                    at += 1;
                }
            }
        }
    }

    /// Puts `value` under `key`, replacing what was there.
    pub(crate) fn insert(&mut self, key: &B256, value: V) {
        let path = Nibbles::unpack(key);
        self.root = Some(match self.root.take() {
            None => Node::leaf(path, value),
            Some(node) => insert(&node, path, value),
        });
    }

    /// Removes what is under `key`, if anything is.
    pub(crate) fn remove(&mut self, key: &B256) {
        if let Some(node) = self.root.take() {
            self.root = remove(&node, Nibbles::unpack(key));
        }
    }

    /// The Merkle root, [`EMPTY_ROOT_HASH`] for an empty trie.
    pub(crate) fn root(&self) -> B256 {
        let Some(node) = &self.root else { return EMPTY_ROOT_HASH };
        let encoded = node.encoded();
        // Below the root a node shorter than a hash stands for itself; the root is always hashed.
        encoded.as_hash().unwrap_or_else(|| keccak256(encoded.as_slice()))
    }
}

impl<V: Leaf> Node<V> {
    fn new(kind: Kind<V>) -> Arc<Self> {
        Arc::new(Self { kind, encoded: OnceLock::new() })
    }

    fn leaf(path: Nibbles, value: V) -> Arc<Self> {
        Self::new(Kind::Leaf { path, value })
    }

    /// An extension, or the child itself when there is nothing to extend.
    fn extension(path: Nibbles, child: Arc<Self>) -> Arc<Self> {
        if path.is_empty() { child } else { Self::new(Kind::Extension { path, child }) }
    }

    fn branch(children: [Link<V>; 16]) -> Arc<Self> {
        Self::new(Kind::Branch { children: Box::new(children) })
    }

    fn encoded(&self) -> &RlpNode {
        self.encoded.get_or_init(|| self.encode())
    }

    fn encode(&self) -> RlpNode {
        let mut buffer = Vec::new();
        match &self.kind {
            Kind::Leaf { path, value } => LeafNodeRef::new(path, &value.encode_leaf()).rlp(&mut buffer),
            Kind::Extension { path, child } => ExtensionNodeRef::new(path, child.encoded().as_slice()).rlp(&mut buffer),
            Kind::Branch { children } => {
                let mut mask = 0u16;
                let mut stack = Vec::with_capacity(16);
                for (nibble, child) in children.iter().enumerate() {
                    if let Some(child) = child {
                        mask |= 1 << nibble;
                        stack.push(child.encoded().clone());
                    }
                }
                BranchNodeRef::new(&stack, TrieMask::new(mask)).rlp(&mut buffer)
            }
        }
    }
}

fn insert<V: Leaf>(node: &Arc<Node<V>>, path: Nibbles, value: V) -> Arc<Node<V>> {
    match &node.kind {
        Kind::Leaf { path: rest, value: old } => {
            if *rest == path {
                return Node::leaf(path, value);
            }
            let shared = path.common_prefix_length(rest);
            let stays = |rest: Nibbles| Node::leaf(rest, old.clone());
            fork(path, value, shared, *rest, stays)
        }
        Kind::Extension { path: prefix, child } => {
            let shared = path.common_prefix_length(prefix);
            if shared == prefix.len() {
                let grown = insert(child, path.slice(shared..), value);
                return Node::extension(*prefix, grown);
            }
            let stays = |rest: Nibbles| Node::extension(rest, child.clone());
            fork(path, value, shared, *prefix, stays)
        }
        Kind::Branch { children } => {
            let mut children = children.as_ref().clone();
            let slot = &mut children[nibble(&path, 0)];
            let rest = path.slice(1..);
            *slot = Some(match slot.take() {
                None => Node::leaf(rest, value),
                Some(child) => insert(&child, rest, value),
            });
            Node::branch(children)
        }
    }
}

/// Where `path` and `old` part after `shared` nibbles: a branch with the new leaf and the old node.
fn fork<V: Leaf>(
    path: Nibbles,
    value: V,
    shared: usize,
    old: Nibbles,
    stays: impl FnOnce(Nibbles) -> Arc<Node<V>>,
) -> Arc<Node<V>> {
    let mut children: [Link<V>; 16] = Default::default();
    children[nibble(&path, shared)] = Some(Node::leaf(path.slice(shared + 1..), value));
    children[nibble(&old, shared)] = Some(stays(old.slice(shared + 1..)));
    Node::extension(path.slice(..shared), Node::branch(children))
}

fn remove<V: Leaf>(node: &Arc<Node<V>>, path: Nibbles) -> Link<V> {
    match &node.kind {
        Kind::Leaf { path: rest, .. } => (*rest != path).then(|| node.clone()),
        Kind::Extension { path: prefix, child } => {
            if path.common_prefix_length(prefix) < prefix.len() {
                return Some(node.clone());
            }
            let child = remove(child, path.slice(prefix.len()..))?;
            Some(prepend(*prefix, &child))
        }
        Kind::Branch { children } => {
            let at = nibble(&path, 0);
            let Some(child) = &children[at] else { return Some(node.clone()) };
            let mut children = children.as_ref().clone();
            children[at] = remove(child, path.slice(1..));
            Some(collapse(children))
        }
    }
}

/// A branch with one child left is no branch any more: its nibble joins the child's path.
fn collapse<V: Leaf>(children: [Link<V>; 16]) -> Arc<Node<V>> {
    let mut present = children.iter().enumerate().filter_map(|(at, c)| Some((at, c.as_ref()?)));
    match (present.next(), present.next()) {
        (Some((at, only)), None) => prepend(Nibbles::from_nibbles([at as u8]), only),
        _ => Node::branch(children),
    }
}

fn prepend<V: Leaf>(prefix: Nibbles, node: &Arc<Node<V>>) -> Arc<Node<V>> {
    match &node.kind {
        Kind::Leaf { path, value } => Node::leaf(prefix.join(path), value.clone()),
        Kind::Extension { path, child } => Node::extension(prefix.join(path), child.clone()),
        Kind::Branch { .. } => Node::extension(prefix, node.clone()),
    }
}

/// All keys have 64 nibbles and two paths at one node have equal length, so a nibble asked for is
/// there; a zero instead of a panic would only be reached by a bug in this file.
fn nibble(path: &Nibbles, at: usize) -> usize {
    path.get(at).map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy_primitives::U256;
    use alloy_trie::root::storage_root;
    use proptest::prelude::*;

    use super::*;

    fn check(trie: &Trie<U256>, model: &BTreeMap<B256, U256>) {
        assert_eq!(trie.root(), storage_root(model.iter().map(|(k, v)| (*k, *v))));
        for (key, value) in model {
            assert_eq!(trie.get(key), Some(value));
        }
    }

    /// Keys that share long prefixes, so that extensions are made, split and merged.
    fn key(bytes: [u8; 3]) -> B256 {
        let mut key = B256::ZERO;
        key[0] = bytes[0];
        key[15] = bytes[1];
        key[31] = bytes[2];
        key
    }

    #[test]
    fn empty_trie_has_the_well_known_root() {
        assert_eq!(Trie::<U256>::default().root(), EMPTY_ROOT_HASH);
    }

    proptest! {
        #[test]
        fn roots_equal_an_independent_builder(
            steps in prop::collection::vec((0u8..4, 0u8..4, 0u8..40, 0u64..5), 1..120)
        ) {
            let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
            let mut versions = Vec::new();
            for (a, b, c, value) in steps {
                let key = key([a << 3, b, c]);
                if value == 0 {
                    trie.remove(&key);
                    model.remove(&key);
                } else {
                    let value = U256::from(value) << 200;
                    trie.insert(&key, value);
                    model.insert(key, value);
                }
                versions.push((trie.clone(), model.clone()));
            }
            for (trie, model) in &versions {
                check(trie, model);
            }
        }
    }
}
