//! Section 6.10: 2t+1 output shares on one polynomial of degree t give the aggregate and all n share roots.

use crate::field::{self, Fp};
use crate::merkle::{self, vector_root};
use crate::params::{Committee, lagrange};
use alloy_primitives::B256;
use std::collections::BTreeMap;
use thiserror::Error;

/// The settled sum with the roots that bind every node's share of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    values: Vec<Fp>,
    share_roots: Vec<B256>,
    liars: Vec<usize>,
}

impl Aggregate {
    /// The sum: d coordinates, and the total weight where the program has one.
    #[must_use]
    pub fn values(&self) -> &[Fp] {
        &self.values
    }

    /// The root of the sum.
    #[must_use]
    pub fn root(&self) -> B256 {
        vector_root(&self.values)
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

/// Elements evaluated at a time, in leaves of a vector tree.
const BLOCK: usize = 32 * merkle::LEAF_ELEMENTS;

/// Polynomials of degree t through the shares of t+1 nodes, element by element.
struct Base<'a> {
    nodes: Vec<usize>,
    shares: Vec<&'a [Fp]>,
}

impl Base<'_> {
    /// Hands the values at `target` to `take`, block by block, until it returns false; whether it never did.
    fn blocks(&self, target: usize, mut take: impl FnMut(core::ops::Range<usize>, &[Fp]) -> bool) -> bool {
        let length = self.shares.first().map_or(0, |share| share.len());
        let coefficients = lagrange(&self.nodes, target);
        let mut buffer = vec![Fp::ZERO; BLOCK.min(length)];
        (0..length).step_by(BLOCK).all(|start| {
            let range = start..length.min(start + BLOCK);
            if let Some(i) = self.nodes.iter().position(|&node| node == target) {
                return take(range.clone(), &self.shares[i][range]);
            }
            let block = &mut buffer[..range.len()];
            let blocks: Vec<&[Fp]> = self.shares.iter().map(|share| &share[range.clone()]).collect();
            block.fill(Fp::ZERO);
            field::add_products(block, &coefficients, &blocks);
            take(range, block)
        })
    }

    /// Whether `share` is what the node `target` has to serve.
    fn fits(&self, target: usize, share: &[Fp]) -> bool {
        share.len() == self.shares.first().map_or(0, |share| share.len())
            && self.blocks(target, |range, block| share[range] == *block)
    }

    /// The vector root of the node `target`.
    fn root(&self, target: usize) -> B256 {
        let (mut leaves, mut length) = (Vec::new(), 0);
        self.blocks(target, |range, block| {
            leaves.extend(merkle::vector_leaves(block));
            length = range.end as u64;
            true
        });
        merkle::root(merkle::TreeKind::Vector, length, leaves)
    }

    /// The aggregate.
    fn sum(&self) -> Vec<Fp> {
        let mut sum = Vec::with_capacity(self.shares.first().map_or(0, |share| share.len()));
        self.blocks(0, |_, block| {
            sum.extend_from_slice(block);
            true
        });
        sum
    }
}

/// Finds the aggregate among served output shares, of which t may be wrong. All must have the program's output length.
///
/// # Errors
/// [`NotEnoughAgree`] unless 2t+1 lie on one polynomial of degree t.
pub fn unmask(committee: &Committee, served: &BTreeMap<usize, &[Fp]>) -> Result<Aggregate, NotEnoughAgree> {
    let nodes: Vec<usize> = served.keys().copied().collect();
    let needed = committee.agreement();
    let mut most = 0;
    for choice in combinations(&nodes, committee.t() + 1) {
        let base = Base { shares: choice.iter().filter_map(|node| served.get(node).copied()).collect(), nodes: choice };
        if base.shares.iter().any(|share| share.len() != base.shares[0].len()) {
            continue;
        }
        let others = served.iter().filter(|(node, _)| !base.nodes.contains(node));
        let off: Vec<usize> = others.filter(|(node, share)| !base.fits(**node, share)).map(|(node, _)| *node).collect();
        let agreeing = nodes.len() - off.len();
        most = most.max(agreeing);
        if agreeing >= needed {
            let share_roots = (1..=committee.n()).map(|node| base.root(node)).collect();
            return Ok(Aggregate { values: base.sum(), share_roots, liars: off });
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
