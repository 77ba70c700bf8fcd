//! Section 6.10: 2t+1 output shares on one polynomial of degree t give the aggregate and all n share roots.

use crate::field::Fp;
use crate::merkle::vector_root;
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

/// The value at `target` of the polynomials of degree t through `shares`' first t+1 nodes, element by element.
fn evaluate(base: &[(usize, &[Fp])], target: usize) -> Vec<Fp> {
    let points: Vec<usize> = base.iter().map(|(node, _)| *node).collect();
    let mut out = vec![Fp::ZERO; base.first().map_or(0, |(_, share)| share.len())];
    for ((_, share), coefficient) in base.iter().zip(lagrange(&points, target)) {
        for (sum, &value) in out.iter_mut().zip(*share) {
            *sum += coefficient * value;
        }
    }
    out
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
        let base: Vec<(usize, &[Fp])> = choice.iter().filter_map(|node| Some((*node, *served.get(node)?))).collect();
        let off: Vec<usize> =
            nodes.iter().copied().filter(|node| !choice.contains(node) && evaluate(&base, *node) != served[node]).collect();
        let agreeing = nodes.len() - off.len();
        most = most.max(agreeing);
        if agreeing >= needed {
            let share_roots = (1..=committee.n()).map(|node| vector_root(&evaluate(&base, node))).collect();
            return Ok(Aggregate { values: evaluate(&base, 0), share_roots, liars: off });
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
