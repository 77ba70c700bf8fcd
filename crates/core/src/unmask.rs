//! Section 6.10: 2t+1 output shares on one polynomial of degree t give the aggregate and all n share roots.
//!
//! Of m shares, those are wrong that are off the polynomial that 2t+1 or more, and more than (m+t)/2, are on. There is never a
//! second such polynomial. Three steps find it, in time polynomial in n:
//!
//! 1. *Guess and check.* The polynomial through t+1 shares is held against all others that are not known to be wrong, coordinate by
//!    coordinate. Nothing else accepts a result, so that none rests on chance. With honest nodes the first guess, nodes in order, is right.
//! 2. *Compress and decode.* A check that fails sends every vector to one element of K (`compress.rs`) with a random ρ. The map is
//!    linear: the images of shares on one polynomial are on one, and `reed_solomon.rs` finds the images that are not. Their shares
//!    are wrong, whatever ρ is. The next guess leaves them out.
//! 3. *One coordinate.* A wrong share escapes step 2 with a chance of d/2^128. The check then has found a coordinate where the shares
//!    that are left contradict each other; it is decoded in place of the images, and exposes a wrong share each time.
//!
//! Of m <= 3t+1 shares any 2t+1 that agree suffice. Of more, agreement of 2t+1 can leave more than t wrong ones, and two
//! such polynomials can exist: that is an error, [`NoAggregate::TooManyWrong`]. Q = 3t+1 shares that agree always suffice, as
//! n <= 5t+1, and without so many nodes whose shares agree there is no settlement.

mod compress;
mod reed_solomon;
#[cfg(test)]
mod tests;

use crate::cores::Cores;
use crate::field::{self, Ext, Fp};
use crate::merkle;
use crate::params::{Committee, lagrange};
use crate::simd::pages;
use alloy_primitives::B256;
use core::ops::Range;
use rand_core::CryptoRng;
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

/// Why there is no aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAggregate {
    /// Too few shares are here, or some of them are wrong: t nodes that lie can bring this about until all others have served.
    #[error("{served} output shares are here, and fewer than {needed} of them agree: wait for more nodes")]
    NotEnoughAgree {
        /// Shares served.
        served: usize,
        /// 2t+1.
        needed: usize,
    },
    /// More nodes are corrupt or broken than the committee is made for.
    #[error(
        "more than t = {t} of {served} output shares are wrong: wait for more nodes, and check the software and the disks of all of them"
    )]
    TooManyWrong {
        /// Shares served, 3t+1 or more.
        served: usize,
        /// Nodes that may be corrupt.
        t: usize,
    },
}

impl NoAggregate {
    /// Of 3t+1 shares, 2t+1 would agree if t were wrong.
    fn of(committee: &Committee, served: usize) -> Self {
        let t = committee.t();
        if served > 3 * t {
            Self::TooManyWrong { served, t }
        } else {
            Self::NotEnoughAgree { served, needed: committee.agreement() }
        }
    }
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

    /// The first coordinate of `share` that is not what the node `target` has to serve; its length if that is wrong.
    pub(crate) fn misfit(&self, cores: Cores, target: usize, share: &[Fp]) -> Option<usize> {
        if share.len() != self.len() {
            return Some(share.len());
        }
        let first = |range| {
            let mut found = None;
            self.blocks(target, range, |range, expected| {
                let values = &share[range.clone()];
                if values != expected {
                    found = values.iter().zip(expected).position(|(value, expected)| value != expected).map(|k| range.start + k);
                }
                found.is_none()
            });
            found
        };
        cores.each(cores.ranges(share.len(), BLOCK), first).into_iter().flatten().next()
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

/// Finds the aggregate among served output shares, of which t may be wrong. All must have the program's output length. The
/// result does not depend on `rng`, which is used when a share is wrong, to find it in less time.
///
/// # Errors
/// [`NoAggregate`] unless 2t+1, and more than half of t and the number of shares, lie on one polynomial of degree t.
pub fn unmask(committee: &Committee, served: &BTreeMap<usize, &[Fp]>, rng: &mut dyn CryptoRng) -> Result<Aggregate, NoAggregate> {
    unmask_on(Cores::ONE, committee, served, rng)
}

/// [`unmask`] on several cores.
///
/// # Errors
/// As [`unmask`].
pub fn unmask_on(
    cores: Cores,
    committee: &Committee,
    served: &BTreeMap<usize, &[Fp]>,
    rng: &mut dyn CryptoRng,
) -> Result<Aggregate, NoAggregate> {
    unmask_with(cores, committee, served, || compress::draw(rng))
}

/// [`unmask_on`] with a ρ of the caller's, asked for at most once. The result is the same with any.
pub(crate) fn unmask_with(
    cores: Cores,
    committee: &Committee,
    served: &BTreeMap<usize, &[Fp]>,
    rho: impl FnOnce() -> Ext,
) -> Result<Aggregate, NoAggregate> {
    let found = Search::new(cores, committee, served).and_then(|search| search.run(rho));
    let (base, liars) = found.ok_or_else(|| NoAggregate::of(committee, served.len()))?;
    let fitting = served.iter().filter(|(node, _)| !liars.contains(node)).map(|(node, share)| (*node, *share)).collect();
    let (values, mut share_roots) = base.aggregate(cores, committee.n(), &fitting);
    let root = share_roots.remove(0);
    Ok(Aggregate { values, root, share_roots, liars })
}

/// The search for the polynomial that all served shares but [`Self::room`] lie on.
///
/// If there is one, every share that is not among [`Self::left`] is off it. At first those are the shares of another length than most
/// have. Any linear image of the shares keeps it up: of those that are left, at most `room` less those that are out are off the
/// polynomial, no more than a unique decoder corrects in the image, so that it finds the polynomial's image.
struct Search<'a> {
    cores: Cores,
    t: usize,
    served: &'a BTreeMap<usize, &'a [Fp]>,
    /// Most shares that may be wrong.
    room: usize,
    /// Served shares that are not known to be wrong, all of one length.
    left: BTreeMap<usize, &'a [Fp]>,
}

impl<'a> Search<'a> {
    /// `None` if too few shares are served.
    fn new(cores: Cores, committee: &Committee, served: &'a BTreeMap<usize, &'a [Fp]>) -> Option<Self> {
        let (m, t) = (served.len(), committee.t());
        let room = m.checked_sub(committee.agreement())?.min((m - t - 1) / 2);
        let mut lengths: Vec<usize> = served.values().map(|share| share.len()).collect();
        lengths.sort_unstable();
        // More than half are right, so that the length in the middle is theirs.
        let length = lengths[m / 2];
        let left: BTreeMap<_, _> =
            served.iter().filter(|(_, share)| share.len() == length).map(|(j, share)| (*j, *share)).collect();
        Some(Self { cores, t, served, room, left }).filter(Self::has_room)
    }

    /// t+1 shares on the polynomial, and the nodes whose shares are off it; `None` if there is no such polynomial.
    fn run(mut self, rho: impl FnOnce() -> Ext) -> Option<(Base<'a>, Vec<usize>)> {
        let mut rho = Some(rho);
        loop {
            let base = self.guess();
            let misfits = self.misfits(&base);
            if self.out() + misfits.len() <= self.room {
                self.left.retain(|node, _| !misfits.contains_key(node));
                let liars = self.served.keys().filter(|node| !self.left.contains_key(node));
                return Some((base, liars.copied().collect()));
            }
            let image = match rho.take() {
                Some(rho) => compress::compress(self.cores, rho(), &self.left),
                None => self.at(*misfits.first_key_value()?.1),
            };
            let wrong = reed_solomon::errors(&image, self.t)?;
            self.left.retain(|node, _| !wrong.contains(node));
            if !self.has_room() {
                return None;
            }
        }
    }

    /// How many shares are known to be wrong.
    fn out(&self) -> usize {
        self.served.len() - self.left.len()
    }

    fn has_room(&self) -> bool {
        self.out() <= self.room
    }

    /// The first t+1 shares that are left: there are 2t+1 or more.
    fn guess(&self) -> Base<'a> {
        let (nodes, shares) = self.left.iter().take(self.t + 1).map(|(node, share)| (*node, *share)).unzip();
        Base { nodes, shares }
    }

    /// The nodes whose shares are left and off the polynomial, each with a coordinate where it is: all of them, or more than there is
    /// room for.
    fn misfits(&self, base: &Base<'_>) -> BTreeMap<usize, usize> {
        let others = self.left.iter().skip(base.nodes.len());
        let off = others.filter_map(|(node, share)| Some((*node, base.misfit(self.cores, *node, share)?)));
        off.take(self.room + 1 - self.out()).collect()
    }

    /// The values of one coordinate.
    fn at(&self, coordinate: usize) -> Vec<(usize, Ext)> {
        self.left.iter().map(|(node, share)| (*node, Ext { a: share[coordinate], b: Fp::ZERO })).collect()
    }
}
