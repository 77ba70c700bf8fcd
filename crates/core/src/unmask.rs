//! Section 6.10: 2t+1 output shares on one polynomial of degree t give the aggregate and all n share roots.

use crate::cores::Cores;
use crate::field::{self, Fp};
use crate::merkle;
use crate::params::{Committee, lagrange};
use crate::simd::pages;
use alloy_primitives::B256;
use core::ops::Range;
use std::collections::BTreeMap;
use thiserror::Error;

/// The settled sum with the roots that bind every node's share of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    values: Vec<Fp>,
    root: B256,
    share_roots: Vec<B256>,
    liars: Vec<usize>,
}

impl Aggregate {
    /// The sum: d coordinates, and the total weight where the program has one.
    #[must_use]
    pub fn values(&self) -> &[Fp] {
        &self.values
    }

    /// The sum, without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<Fp> {
        self.values
    }

    /// The root of the sum.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.root
    }

    /// The roots of all n nodes' shares, node 1 first: what each honest node has signed or would sign.
    #[must_use]
    pub fn share_roots(&self) -> &[B256] {
        &self.share_roots
    }

    /// The nodes whose served share is not on the polynomial.
    #[must_use]
    pub fn liars(&self) -> &[usize] {
        &self.liars
    }
}

/// Too few output shares agree: wait for more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("only {agreeing} of {served} output shares agree, {needed} are needed: wait for more nodes")]
pub struct NotEnoughAgree {
    /// Shares served.
    pub served: usize,
    /// Most that lie on one polynomial of degree t.
    pub agreeing: usize,
    /// 2t+1.
    pub needed: usize,
}

/// Elements evaluated at a time: a subtree of a vector's tree.
const BLOCK: usize = merkle::SUBTREE_ELEMENTS;

/// Polynomials of degree t through the shares of t+1 nodes, element by element. The point 0 is the aggregate's.
pub(crate) struct Base<'a> {
    pub(crate) nodes: Vec<usize>,
    pub(crate) shares: Vec<&'a [Fp]>,
}

impl Base<'_> {
    fn len(&self) -> usize {
        self.shares.first().map_or(0, |share| share.len())
    }

    /// Hands the values at `target` within `range` to `take`, block by block, until it returns false; whether it never
    /// did.
    pub(crate) fn blocks(&self, target: usize, range: Range<usize>, mut take: impl FnMut(Range<usize>, &[Fp]) -> bool) -> bool {
        let coefficients = lagrange(&self.nodes, target);
        let mut buffer = vec![Fp::ZERO; BLOCK.min(range.len())];
        range.clone().step_by(BLOCK).all(|start| {
            let range = start..range.end.min(start + BLOCK);
            let block = &mut buffer[..range.len()];
            let blocks: Vec<&[Fp]> = self.shares.iter().map(|share| &share[range.clone()]).collect();
            block.fill(Fp::ZERO);
            field::add_products(block, &coefficients, &blocks);
            take(range, block)
        })
    }

    /// Whether `share` is what the node `target` has to serve.
    fn fits(&self, cores: Cores, target: usize, share: &[Fp]) -> bool {
        let fits = |range| self.blocks(target, range, |range, block| share[range] == *block);
        share.len() == self.len() && cores.each(cores.ranges(share.len(), BLOCK), fits).into_iter().all(|fits| fits)
    }

    /// The vector root at `target`, and the values as well if `keep` has room for them.
    fn root(&self, target: usize, keep: &mut Vec<Fp>) -> B256 {
        let mut subtrees = Vec::with_capacity(self.len().div_ceil(BLOCK));
        let room = keep.capacity() > 0;
        self.blocks(target, 0..self.len(), |_, block| {
            subtrees.push(merkle::subtree(block));
            if room {
                keep.extend_from_slice(block);
            }
            true
        });
        merkle::root(merkle::TreeKind::Vector, self.len() as u64, subtrees)
    }

    /// The aggregate, at 0, and the roots of nodes 1..=n. `served` are shares that are known to fit.
    fn aggregate(&self, cores: Cores, n: usize, served: &BTreeMap<usize, &[Fp]>) -> (Vec<Fp>, Vec<B256>) {
        let targets = (0..=n).collect();
        let evaluate = |target| {
            let mut values = pages::with_capacity(if target == 0 { self.len() } else { 0 });
            let root = served.get(&target).map_or_else(|| self.root(target, &mut values), |share| merkle::vector_root(share));
            (values, root)
        };
        let mut evaluated = cores.each(targets, evaluate);
        let roots = evaluated.iter().map(|(_, root)| *root).collect();
        (core::mem::take(&mut evaluated[0].0), roots)
    }
}

/// Finds the aggregate among served output shares, of which t may be wrong. All must have the program's output length.
///
/// # Errors
/// [`NotEnoughAgree`] unless 2t+1 lie on one polynomial of degree t.
pub fn unmask(committee: &Committee, served: &BTreeMap<usize, &[Fp]>) -> Result<Aggregate, NotEnoughAgree> {
    unmask_on(Cores::ONE, committee, served)
}

/// [`unmask`] on several cores.
///
/// # Errors
/// As [`unmask`].
pub fn unmask_on(cores: Cores, committee: &Committee, served: &BTreeMap<usize, &[Fp]>) -> Result<Aggregate, NotEnoughAgree> {
    let nodes: Vec<usize> = served.keys().copied().collect();
    let needed = committee.agreement();
    let mut most = 0;
    for choice in combinations(&nodes, committee.t() + 1) {
        let base = Base { shares: choice.iter().filter_map(|node| served.get(node).copied()).collect(), nodes: choice };
        if base.shares.iter().any(|share| share.len() != base.shares[0].len()) {
            continue;
        }
        let others = served.iter().filter(|(node, _)| !base.nodes.contains(node));
        let off: Vec<usize> = others.filter(|(node, share)| !base.fits(cores, **node, share)).map(|(node, _)| *node).collect();
        let agreeing = nodes.len() - off.len();
        most = most.max(agreeing);
        if agreeing >= needed {
            let fitting = served.iter().filter(|(node, _)| !off.contains(node)).map(|(node, share)| (*node, *share)).collect();
            let (values, mut roots) = base.aggregate(cores, committee.n(), &fitting);
            let root = roots.remove(0);
            return Ok(Aggregate { values, root, share_roots: roots, liars: off });
        }
    }
    Err(NotEnoughAgree { served: nodes.len(), agreeing: most, needed })
}

fn combinations(items: &[usize], size: usize) -> Vec<Vec<usize>> {
    let Some((&first, rest)) = items.split_first().filter(|_| size > 0) else {
        return if size == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    let mut with_first = combinations(rest, size - 1);
    for choice in &mut with_first {
        choice.insert(0, first);
    }
    with_first.extend(combinations(rest, size));
    with_first
}
