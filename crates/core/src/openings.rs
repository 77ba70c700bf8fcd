//! Section 6.12 (ii): what is wrong with a settlement, found in the vectors behind its roots and shown by opened leaves.
//!
//! Whole vectors are compared, by interpolation in blocks; leaves are opened only where something is wrong. Nothing here
//! takes anyone's word: [`read`] believes bytes for their hash alone, and [`Flaw::holds`] is what the contract checks.

use crate::audit::leaf_is_fraud;
use crate::cores::Cores;
use crate::field::{Fp, MODULUS};
use crate::merkle::{self, LEAF_ELEMENTS, TreeKind};
use crate::params::Committee;
use crate::unmask::Base;
use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a leaf.
const LEAF_BYTES: usize = 8 * LEAF_ELEMENTS;

/// A leaf of a settled vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// 0: the aggregate; j: the output share of node j.
    pub point: u8,
    /// The leaf's bytes: 32 words, big-endian.
    pub content: Bytes,
    /// Siblings up to the root, as [`merkle::open`] gives them.
    pub path: Vec<B256>,
}

/// What shows that settled roots are not those of vectors on one polynomial of degree t.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "flaw", rename_all = "kebab-case")]
pub enum Flaw {
    /// At this element t+2 vectors lie on no polynomial of degree t.
    Misfit {
        /// Its place in the vectors.
        element: u64,
        /// The leaf that holds it, of t+2 vectors, points increasing.
        openings: Vec<Opening>,
    },
    /// A leaf that is none: a value of p or more, padding that is not zero, or not 256 bytes.
    Leaf {
        /// Its place.
        leaf: u64,
        /// The leaf.
        opening: Opening,
    },
    /// A root that is not the top of a vector of the study's length.
    Root {
        /// Which root.
        point: u8,
        /// What it is the SHA-256 of.
        preimage: Bytes,
    },
}

/// The roots of a settlement, as far as vectors are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roots<'a> {
    /// Of the aggregate.
    pub aggregate: B256,
    /// Of the nodes' output shares, node 1 first.
    pub shares: &'a [B256],
}

impl Roots<'_> {
    /// The root at a point: 0 for the aggregate, j for node j.
    #[must_use]
    pub fn at(&self, point: usize) -> Option<B256> {
        if point == 0 { Some(self.aggregate) } else { self.shares.get(point - 1).copied() }
    }
}

/// What served bytes are, held against a settled root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// The settled vector.
    Vector(Vec<Fp>),
    /// What was settled, and it is no vector: proof that the settlement is wrong.
    Flaw(Flaw),
    /// Something else, which proves nothing.
    Other,
}

/// Most bytes of an answer that can say anything about a vector of `length` elements.
#[must_use]
pub fn longest(length: usize) -> usize {
    length.div_ceil(LEAF_ELEMENTS) * LEAF_BYTES
}

/// Holds bytes as nodes serve them (little-endian words) against the settled root of a vector with `length` elements.
#[must_use]
pub fn read(point: u8, length: usize, root: &B256, bytes: &[u8]) -> Served {
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Served::Other;
    }
    let mut words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let leaves: Vec<B256> = words.chunks(LEAF_ELEMENTS).map(|words| merkle::leaf(&content(words))).collect();
    let tops = |length: usize| merkle::root(TreeKind::Vector, length as u64, leaves.clone()) == *root;
    // With zeros for padding, a vector of this length has these leaves; with anything else there, so does none.
    if leaves.len() == length.div_ceil(LEAF_ELEMENTS) && tops(length) {
        let mut contents = words.chunks(LEAF_ELEMENTS).map(content).enumerate();
        return match contents.find(|(leaf, content)| !is_leaf(content, length, *leaf)) {
            None => {
                words.resize(length, 0);
                words.into_iter().map(Fp::new).collect::<Option<_>>().map_or(Served::Other, Served::Vector)
            }
            Some((leaf, content)) => {
                let content = Bytes::copy_from_slice(&content);
                let opening = Opening { point, content, path: merkle::open(&leaves, leaf) };
                Served::Flaw(Flaw::Leaf { leaf: leaf as u64, opening })
            }
        };
    }
    if words.len() != length && tops(words.len()) {
        let preimage = merkle::preimage(TreeKind::Vector, words.len() as u64, leaves).into();
        return Served::Flaw(Flaw::Root { point, preimage });
    }
    Served::Other
}

fn content(words: &[u64]) -> [u8; LEAF_BYTES] {
    let mut bytes = [0; LEAF_BYTES];
    for (slot, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *slot = word.to_be_bytes();
    }
    bytes
}

fn value_at(content: &[u8], place: usize) -> Option<u64> {
    content.as_chunks::<8>().0.get(place).map(|word| u64::from_be_bytes(*word))
}

/// Whether the bytes are leaf number `leaf` of a vector: 32 values below p, zeros behind the vector's end.
fn is_leaf(content: &[u8], length: usize, leaf: usize) -> bool {
    let good = |place: usize| {
        let beyond = leaf * LEAF_ELEMENTS + place >= length;
        value_at(content, place).is_some_and(|value| value < MODULUS && !(beyond && value != 0))
    };
    content.len() == LEAF_BYTES && (0..LEAF_ELEMENTS).all(good)
}

/// Settled vectors against each other, one after another: t+1 of them are kept, every other one is compared and dropped.
#[derive(Debug)]
pub struct Comparison {
    committee: Committee,
    length: usize,
    base: BTreeMap<usize, Vec<Fp>>,
    fitting: BTreeSet<usize>,
}

impl Comparison {
    /// Begins with vectors of `length` elements.
    #[must_use]
    pub fn new(committee: &Committee, length: usize) -> Self {
        Self { committee: committee.clone(), length, base: BTreeMap::new(), fitting: BTreeSet::new() }
    }

    /// The points whose vectors lie on one polynomial so far.
    #[must_use]
    pub fn fitting(&self) -> &BTreeSet<usize> {
        &self.fitting
    }

    /// Whether the settled aggregate is shown to be right: it fits 2t+1 settled shares, t+1 of them of honest nodes.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.fitting.contains(&0) && self.fitting.len() > self.committee.agreement()
    }

    /// Takes the vector behind the settled root at `point`; the first that does not fit those before it is the proof. A
    /// vector of another length, or at no point of the committee, is passed over.
    pub fn add(&mut self, point: usize, values: Vec<Fp>) -> Option<Flaw> {
        if values.len() != self.length || point > self.committee.n() || self.fitting.contains(&point) {
            return None;
        }
        if self.base.len() <= self.committee.t() {
            self.base.insert(point, values);
        } else if let Some(element) = self.polynomials().misfit(Cores::ONE, point, &values) {
            return Some(self.misfit(element, point, &values));
        }
        self.fitting.insert(point);
        None
    }

    /// The root that the vectors so far give a vector at a point, once t+1 of them are there.
    #[must_use]
    pub fn root_at(&self, point: usize) -> Option<B256> {
        if self.base.len() <= self.committee.t() {
            return None;
        }
        let mut values = Vec::with_capacity(self.length);
        self.polynomials().blocks(point, 0..self.length, |_, block| {
            values.extend_from_slice(block);
            true
        });
        Some(merkle::vector_root(&values))
    }

    fn polynomials(&self) -> Base<'_> {
        Base { nodes: self.base.keys().copied().collect(), shares: self.base.values().map(Vec::as_slice).collect() }
    }

    fn misfit(&self, element: usize, point: usize, values: &[Fp]) -> Flaw {
        let others = self.base.iter().map(|(&point, values)| (point, values.as_slice()));
        let all: BTreeMap<usize, &[Fp]> = others.chain([(point, values)]).collect();
        let openings = all.into_iter().map(|(point, values)| open(point as u8, values, element / LEAF_ELEMENTS)).collect();
        Flaw::Misfit { element: element as u64, openings }
    }
}

/// Opens a leaf of a vector.
#[must_use]
pub fn open(point: u8, values: &[Fp], leaf: usize) -> Opening {
    let chunk = values.chunks(LEAF_ELEMENTS).nth(leaf).unwrap_or_default();
    let path = merkle::open(&merkle::vector_leaves(values), leaf);
    Opening { point, content: Bytes::copy_from_slice(&merkle::leaf_bytes(chunk)), path }
}

impl Flaw {
    /// Whether this proves that the settlement is wrong, by the rules of the contract. `length` is the number of elements
    /// in the study's vectors.
    #[must_use]
    pub fn holds(&self, committee: &Committee, length: usize, roots: &Roots<'_>) -> bool {
        match self {
            Self::Misfit { element, openings } => misfits(committee, length, roots, *element, openings),
            Self::Leaf { leaf, opening } => {
                let place = usize::try_from(*leaf).ok();
                place.is_some_and(|leaf| leads(length, roots, leaf, opening) && !is_leaf(&opening.content, length, leaf))
            }
            Self::Root { point, preimage } => {
                let root = roots.at(usize::from(*point));
                root.is_some_and(|root| merkle::is_no_top(TreeKind::Vector, length as u64, &root, preimage))
            }
        }
    }
}

fn misfits(committee: &Committee, length: usize, roots: &Roots<'_>, element: u64, openings: &[Opening]) -> bool {
    let Some(element) = usize::try_from(element).ok().filter(|element| *element < length) else { return false };
    let (leaf, place) = (element / LEAF_ELEMENTS, element % LEAF_ELEMENTS);
    let value = |opening: &Opening| {
        let whole = opening.content.len() == LEAF_BYTES && leads(length, roots, leaf, opening);
        let value = value_at(&opening.content, place).and_then(Fp::new);
        value.filter(|_| whole).map(|value| (usize::from(opening.point), value))
    };
    let values: Option<Vec<_>> = openings.iter().map(value).collect();
    values.is_some_and(|values| leaf_is_fraud(committee, &values) == Some(true))
}

/// Whether an opening leads to the settled root at its point.
fn leads(length: usize, roots: &Roots<'_>, leaf: usize, opening: &Opening) -> bool {
    let (hash, leaves) = (merkle::leaf(&opening.content), length.div_ceil(LEAF_ELEMENTS));
    roots
        .at(usize::from(opening.point))
        .is_some_and(|root| merkle::check_path(TreeKind::Vector, length as u64, leaves, leaf, hash, &opening.path, &root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;
    use crate::merkle::vector_root;

    /// Node j serves a + b·j at each element; the aggregate is a.
    fn vector(point: usize, length: usize) -> Vec<Fp> {
        let of = |i: u64| Fp::reduce(i * i + 5) + Fp::reduce(7 * i + 3) * Fp::reduce(point as u64);
        (0..length as u64).map(of).collect()
    }

    struct Settled {
        committee: Committee,
        length: usize,
        roots: Vec<B256>,
    }

    impl Settled {
        fn over(vectors: &[Vec<Fp>]) -> Self {
            let roots = vectors.iter().map(|values| vector_root(values)).collect();
            Self { committee: Committee::new(5, 1).unwrap(), length: vectors[0].len(), roots }
        }

        fn holds(&self, flaw: &Flaw) -> bool {
            flaw.holds(&self.committee, self.length, &Roots { aggregate: self.roots[0], shares: &self.roots[1..] })
        }
    }

    fn compare(settled: &Settled, vectors: &[Vec<Fp>]) -> (Option<Flaw>, bool) {
        let mut comparison = Comparison::new(&settled.committee, settled.length);
        let flaw = vectors.iter().enumerate().find_map(|(point, values)| comparison.add(point, values.clone()));
        (flaw, comparison.is_sound())
    }

    #[test]
    fn an_honest_settlement_shows_no_flaw_and_is_sound() {
        for length in [1, 31, 32, 33, 1500] {
            let vectors: Vec<_> = (0..=5).map(|point| vector(point, length)).collect();
            let settled = Settled::over(&vectors);
            assert_eq!(compare(&settled, &vectors), (None, true));
            for (point, values) in vectors.iter().enumerate() {
                let served = read(point as u8, length, &settled.roots[point], &field::to_bytes(values));
                assert_eq!(served, Served::Vector(values.clone()));
                let opened = open(point as u8, values, 0);
                assert!(!settled.holds(&Flaw::Leaf { leaf: 0, opening: opened }));
            }
        }
    }

    #[test]
    fn what_a_silent_node_must_have_computed_follows_from_the_others() {
        for length in [1, 33, 1500] {
            let vectors: Vec<_> = (0..=5).map(|point| vector(point, length)).collect();
            let mut comparison = Comparison::new(&Committee::new(5, 1).unwrap(), length);
            assert_eq!(comparison.add(3, vectors[3].clone()), None);
            assert_eq!(comparison.root_at(4), None, "one vector says nothing yet");
            assert_eq!(comparison.add(1, vectors[1].clone()), None);
            for (point, values) in vectors.iter().enumerate() {
                assert_eq!(comparison.root_at(point), Some(vector_root(values)));
            }
        }
    }

    #[test]
    fn one_wrong_element_anywhere_is_found_and_proved_whoever_lied() {
        for (length, element) in [(1, 0), (33, 32), (1500, 1_100), (2500, 2499)] {
            for liar in 0..=5 {
                let mut vectors: Vec<_> = (0..=5).map(|point| vector(point, length)).collect();
                vectors[liar][element] += Fp::ONE;
                let settled = Settled::over(&vectors);
                let (flaw, sound) = compare(&settled, &vectors);
                let flaw = flaw.unwrap();
                assert!(matches!(flaw, Flaw::Misfit { element: found, .. } if found == element as u64));
                assert!(liar != 0 || !sound, "a wrong aggregate is never shown to be right");
                assert!(settled.holds(&flaw));
                // The same openings against another settlement, or at another element, prove nothing.
                assert!(!Settled::over(&[vectors[1].clone(), vectors[0].clone()]).holds(&flaw));
                let Flaw::Misfit { openings, .. } = flaw else { unreachable!() };
                assert!(!settled.holds(&Flaw::Misfit { element: length as u64, openings: openings.clone() }));
                assert!(!settled.holds(&Flaw::Misfit { element: element as u64, openings: openings[1..].to_vec() }));
            }
        }
    }

    #[test]
    fn what_is_no_vector_is_proved_from_the_bytes_that_are_served() {
        let (length, mut words) = (40_usize, vec![1_u64; 40]);
        let root_of = |length: usize, words: &[u64]| {
            let leaves = words.chunks(LEAF_ELEMENTS).map(|chunk| merkle::leaf(&content(chunk))).collect();
            merkle::root(TreeKind::Vector, length as u64, leaves)
        };
        let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let flaw = |length: usize, root: B256, words: &[u64]| match read(0, length, &root, &bytes(words)) {
            Served::Flaw(flaw) => {
                assert!(flaw.holds(&Committee::new(5, 1).unwrap(), length, &Roots { aggregate: root, shares: &[] }));
                flaw
            }
            other => panic!("{other:?}"),
        };
        assert!(matches!(flaw(41, root_of(40, &words), &words), Flaw::Root { point: 0, .. }));
        words[35] = MODULUS;
        assert!(matches!(flaw(length, root_of(length, &words), &words), Flaw::Leaf { leaf: 1, .. }));
        words[35] = 1;
        words.push(9);
        assert!(matches!(flaw(length, root_of(length, &words), &words), Flaw::Leaf { leaf: 1, .. }));
        assert_eq!(read(0, length, &B256::ZERO, &bytes(&words)), Served::Other);
        assert_eq!(read(0, length, &B256::ZERO, &[1; 9]), Served::Other);
        assert!(bytes(&words).len() <= longest(length));
    }
}
