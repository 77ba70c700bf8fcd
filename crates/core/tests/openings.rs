//! Frozen Merkle roots and openings of vectors, for every shape that promotion of odd nodes gives. `vectors/openings.json`
//! is made again only on purpose, with `CONSILIUM_REGENERATE=openings`.

use alloy_primitives::{B256, Bytes};
use consilium_core::field::Fp;
use consilium_core::merkle::{LEAF_ELEMENTS, TreeKind, check_path, leaf, leaf_bytes, open, vector_leaves, vector_root};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Case {
    /// The vector is `length` elements, element i being (i+1)·0x9e3779b97f4a7c15 mod p.
    length: usize,
    root: B256,
    openings: Vec<Opening>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Opening {
    index: usize,
    leaf: Bytes,
    path: Vec<B256>,
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/openings.json");
const LENGTHS: [usize; 11] = [1, 31, 32, 33, 64, 65, 96, 97, 129, 161, 225];

fn vector(length: usize) -> Vec<Fp> {
    (1..=length as u64).map(|i| Fp::reduce(i) * Fp::reduce(0x9e37_79b9_7f4a_7c15)).collect()
}

fn case(length: usize) -> Case {
    let values = vector(length);
    let leaves = vector_leaves(&values);
    let opening = |index: usize| Opening {
        index,
        leaf: leaf_bytes(values.chunks(LEAF_ELEMENTS).nth(index).unwrap()).into(),
        path: open(&leaves, index),
    };
    Case { length, root: vector_root(&values), openings: (0..leaves.len()).map(opening).collect() }
}

fn committed() -> Vec<Case> {
    if std::env::var("CONSILIUM_REGENERATE").as_deref() == Ok("openings") {
        let cases: Vec<Case> = LENGTHS.iter().map(|length| case(*length)).collect();
        std::fs::write(FILE, serde_json::to_string_pretty(&cases).unwrap() + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap()
}

fn holds(length: usize, opening: &Opening, root: &B256) -> bool {
    let leaves = length.div_ceil(LEAF_ELEMENTS);
    check_path(TreeKind::Vector, length as u64, leaves, opening.index, leaf(&opening.leaf), &opening.path, root)
}

#[test]
fn every_committed_opening_is_what_core_makes_and_holds() {
    let cases = committed();
    assert_eq!(cases.iter().map(|case| case.length).collect::<Vec<_>>(), LENGTHS);
    for committed in &cases {
        assert_eq!(*committed, case(committed.length));
        assert!(committed.openings.iter().all(|opening| holds(committed.length, opening, &committed.root)));
    }
}

#[test]
fn an_altered_opening_does_not_hold() {
    for case in committed() {
        let (length, root) = (case.length, case.root);
        for opening in case.openings {
            let mut bytes = opening.leaf.to_vec();
            bytes[7] ^= 1;
            let altered = Opening { leaf: bytes.into(), path: opening.path.clone(), ..opening };
            assert!(!holds(length, &altered, &root));
            let right = Opening { leaf: opening.leaf.clone(), path: opening.path.clone(), ..opening };
            assert!(!holds(length + 1, &right, &root), "another length");
            assert!(!holds(length, &Opening { index: opening.index ^ 1, ..right }, &root), "another place");
            let longer = [opening.path.clone(), vec![B256::ZERO]].concat();
            assert!(!holds(length, &Opening { leaf: opening.leaf.clone(), path: longer, ..opening }, &root));
            for at in 0..opening.path.len() {
                let mut path = opening.path.clone();
                path[at].0[0] ^= 1;
                assert!(!holds(length, &Opening { leaf: opening.leaf.clone(), path, ..opening }, &root));
                let shorter = [&opening.path[..at], &opening.path[at + 1..]].concat();
                assert!(!holds(length, &Opening { leaf: opening.leaf.clone(), path: shorter, ..opening }, &root));
            }
        }
    }
}
