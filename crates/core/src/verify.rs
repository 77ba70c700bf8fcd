//! Section 5, the node's side: each node checks a contribution alone, on its own shares.
//!
//! A node rejects in this order: `format` (lengths, canonical values), `seed` (a seed is missing or does not match its
//! commitment), `proof` (V on its shares differs from Σ v_e j^e).

use crate::certify::SetMember;
use crate::codec::Words;
use crate::contribution::{Body, Contribution};
use crate::error::Rejection;
use crate::field::{self, Fp};
use crate::mask::{Seed, Shares};
use crate::params::Committee;
use crate::program::rows::Projections;
use crate::program::{Combination, Program};
use crate::prove::{BLOCK, RowBlocks, combine_challenge, evaluate_proof, rows_challenge};
use crate::release::{Change, RunningSum};
use crate::seal::{BoxContext, KemSecret};
use crate::simd::pages;
use crate::transcript::{PIECE, Transcript, seed_commitment};
use alloy_primitives::{Address, B256};
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// A contribution that this node has verified: its share of the site's input. Wiped on drop, never printed.
pub struct Accepted {
    site: Address,
    digest: B256,
    share: Vec<Fp>,
}

impl Accepted {
    /// Whose contribution it is.
    #[must_use]
    pub fn site(&self) -> Address {
        self.site
    }

    /// The contribution's digest.
    #[must_use]
    pub fn digest(&self) -> B256 {
        self.digest
    }

    /// This node's share of the output of this one site. Never to be shown to anyone.
    pub(crate) fn share(&self) -> &[Fp] {
        &self.share
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.share.zeroize();
    }
}

impl core::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Accepted({}, {})", self.site, self.digest)
    }
}

/// One node's view of the job: which node it is and what is computed.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'a> {
    /// n, t and the subsets.
    pub committee: &'a Committee,
    /// The study's program.
    pub program: &'a dyn Program,
    /// This node's number, 1..=n.
    pub node: usize,
}

impl Verifier<'_> {
    /// The seeds in this node's box that match their commitments, by number.
    #[must_use]
    pub fn open_box(&self, ctx: &B256, digest: B256, contribution: &Contribution, secret: &KemSecret) -> BTreeMap<usize, Seed> {
        let context = BoxContext { ctx: *ctx, digest, node: self.node };
        let sealed = contribution.boxes.get(self.node - 1).map_or(&[][..], Vec::as_slice);
        let opened = secret.open_box(&context, sealed).unwrap_or_default();
        let entitled = self.committee.seeds_of(self.node);
        entitled.zip(opened).filter(|(number, seed)| seed_matches(ctx, &contribution.body, *number, seed)).collect()
    }

    /// The numbers of the seeds that this node is entitled to and does not hold.
    #[must_use]
    pub fn missing_seeds(&self, held: &BTreeMap<usize, Seed>) -> Vec<usize> {
        self.committee.seeds_of(self.node).filter(|number| !held.contains_key(number)).collect()
    }

    /// Checks a contribution with a ctx that the node built itself, and keeps its share. `values` are the bytes of c, `seeds`
    /// those that the node holds, by number.
    ///
    /// # Errors
    /// The [`Rejection`] step. A contribution is rejected whole or accepted whole.
    pub fn verify(
        &self,
        site: Address,
        ctx: &B256,
        body: &Body,
        values: &[u8],
        seeds: &BTreeMap<usize, Seed>,
    ) -> Result<Accepted, Rejection> {
        let mut check = Check::new(*self, ctx, body, seeds);
        let mut share = Zeroizing::new(pages::with_capacity(self.program.output_len()));
        check.push(values, |_, block| share.extend_from_slice(block));
        share.extend(check.finish(body)?.iter());
        Ok(Accepted { site, digest: body.digest(ctx), share: core::mem::take(&mut share) })
    }

    /// Checks a contribution whose masked vector arrives in pieces, for example from a disk, and adds its share to `sum`
    /// meanwhile; as [`Self::verify`] in all else.
    #[must_use]
    pub fn add_to<'a>(
        &self,
        sum: &RunningSum,
        site: Address,
        ctx: &B256,
        body: &'a Body,
        seeds: &BTreeMap<usize, Seed>,
    ) -> Addition<'a>
    where
        Self: 'a,
    {
        let check = Check::new(*self, ctx, body, seeds);
        Addition { check, body, change: sum.adding(SetMember { site, digest: body.digest(ctx) }) }
    }

    /// Takes a contribution out of `sum` again, whose masked vector arrives in pieces. `None` if it is not in the sum, or if a seed
    /// is missing.
    #[must_use]
    pub fn take_from(
        &self,
        sum: &RunningSum,
        site: Address,
        ctx: &B256,
        body: &Body,
        seeds: &BTreeMap<usize, Seed>,
    ) -> Option<Removal> {
        let held = self.held(ctx, body, seeds)?;
        let mut shares = self.shares(ctx, &held);
        let tail = Zeroizing::new(self.program.output_tail(&Zeroizing::new(shares.witness(&body.witness))));
        let change = sum.removing(SetMember { site, digest: body.digest(ctx) })?;
        let dimension = self.program.dimension();
        let (reading, length) = (Reading::new(dimension), 8 * dimension as u64);
        Some(Removal { reading, shares, change, length, expected: body.values_hash, tail })
    }

    /// The seeds that the node is entitled to, if they are all here and match their commitments, and the lengths are right.
    fn held(&self, ctx: &B256, body: &Body, seeds: &BTreeMap<usize, Seed>) -> Option<Vec<(usize, Seed)>> {
        body.check(self.committee, self.program).ok()?;
        // Room for all of them, so that none is left behind where a smaller vector was.
        let mut held = Vec::with_capacity(self.committee.seeds_of(self.node).count());
        for number in self.committee.seeds_of(self.node) {
            held.push((number, seeds.get(&number).filter(|seed| seed_matches(ctx, body, number, seed))?.clone()));
        }
        Some(held)
    }

    fn shares(&self, ctx: &B256, held: &[(usize, Seed)]) -> Shares {
        Shares::new(self.committee, self.node, ctx, held.iter().map(|(number, seed)| (*number, seed)))
    }
}

/// A masked vector that is read piece by piece: hashed, held against the length and the modulus, and handed on in blocks. What it
/// hands on depends on the bytes alone, not on the pieces, whatever is wrong with them.
struct Reading {
    hash: Transcript,
    bytes: u64,
    words: Words,
    dimension: usize,
    /// Coordinates that were handed on.
    read: usize,
    /// All words so far are canonical, and no more than there should be.
    well_formed: bool,
    block: Zeroizing<Vec<Fp>>,
}

impl Reading {
    fn new(dimension: usize) -> Self {
        let mut hash = Transcript::new("values");
        hash.part_header(8 * dimension as u64);
        let block = Zeroizing::new(Vec::with_capacity(BLOCK));
        Self { hash, bytes: 0, words: Words::default(), dimension, read: 0, well_formed: true, block }
    }

    /// Takes in the next bytes, as many as there are, and hands on at most [`BLOCK`] coordinates at a time, with the number of the
    /// first. Words of p and more are reduced, and there are never more than the vector should have.
    fn push(&mut self, bytes: &[u8], mut take: impl FnMut(usize, &mut [Fp])) {
        let Self { hash, words, dimension, read, well_formed, block, .. } = self;
        self.bytes += bytes.len() as u64;
        for piece in bytes.chunks(PIECE) {
            hash.part_bytes(piece);
            words.push(piece, |words| {
                for words in words.chunks(BLOCK) {
                    let (words, surplus) = words.split_at(words.len().min(*dimension - *read));
                    block.clear();
                    *well_formed &= field::extend_from_bytes(block, words) && surplus.is_empty();
                    take(*read, block);
                    *read += words.len();
                }
            });
        }
    }

    fn is_complete(&self) -> bool {
        self.well_formed && self.read == self.dimension && self.words.is_whole()
    }
}

/// A contribution under verification, its masked vector read piece by piece; each piece is used while it is in the
/// cache. The row challenge covers the hash of the whole vector: the check starts from the hash that the site signed
/// and compares it at the end.
struct Check<'a> {
    verifier: Verifier<'a>,
    ctx: B256,
    reading: Reading,
    running: Option<Running<'a>>,
}

/// The sums of a check whose seeds and lengths are right.
struct Running<'a> {
    seeds: Vec<(usize, Seed)>,
    shares: Shares,
    combination: Box<dyn Combination + 'a>,
    projections: Projections,
    matrix: RowBlocks,
}

impl Running<'_> {
    /// Turns a block of c into the block of X and adds it to the sums.
    fn absorb(&mut self, block: &mut [Fp]) {
        self.shares.unmask_block(block);
        self.combination.absorb(block);
        let rows = self.matrix.next_block(block.len());
        if !rows.is_empty() {
            self.projections.absorb(&[block], rows);
        }
    }
}

impl<'a> Check<'a> {
    fn new(verifier: Verifier<'a>, ctx: &B256, body: &Body, seeds: &BTreeMap<usize, Seed>) -> Self {
        let Verifier { program, .. } = verifier;
        let running = verifier.held(ctx, body, seeds).map(|seeds| {
            let rows = rows_challenge(ctx, &body.commitments, &body.values_hash);
            Running {
                shares: verifier.shares(ctx, &seeds),
                combination: program.combine(combine_challenge(&rows, &body.witness), 0),
                projections: Projections::new(program.rows(), &[false]),
                matrix: RowBlocks::new(program.rows(), &rows),
                seeds,
            }
        });
        Self { verifier, ctx: *ctx, reading: Reading::new(program.dimension()), running }
    }

    /// Takes in the next bytes of c and hands the share of them to `take`, from which coordinate on.
    fn push(&mut self, values: &[u8], mut take: impl FnMut(usize, &[Fp])) {
        let Self { reading, running, .. } = self;
        reading.push(values, |start, block| {
            if let Some(running) = running {
                running.absorb(block);
                take(start, block);
            }
        });
    }

    /// The verdict, and what comes behind the coordinates of the share.
    fn finish(&mut self, body: &Body) -> Result<Zeroizing<Vec<Fp>>, Rejection> {
        let Self { verifier, reading, running, .. } = self;
        let right_lengths = body.check(verifier.committee, verifier.program).is_ok();
        if !(right_lengths && reading.is_complete() && reading.hash.finish() == body.values_hash) {
            return Err(Rejection::Format);
        }
        let running = running.as_mut().ok_or(Rejection::Seed)?;
        let witness = Zeroizing::new(running.shares.witness(&body.witness));
        let projections = Zeroizing::new(running.projections.values());
        let combined = running.combination.finish(&witness, &projections[0]);
        if combined + running.shares.zero() != evaluate_proof(&body.proof, verifier.node) {
            return Err(Rejection::Proof);
        }
        Ok(Zeroizing::new(verifier.program.output_tail(&witness)))
    }

    /// What takes out again whatever was added.
    fn undo(self, change: Change) -> Option<Removal> {
        let Some(running) = self.running else {
            change.finish(false);
            return None;
        };
        let shares = self.verifier.shares(&self.ctx, &running.seeds);
        let (reading, length) = (Reading::new(self.reading.dimension), self.reading.bytes);
        Some(Removal { reading, shares, change, length, expected: self.reading.hash.finish(), tail: Zeroizing::default() })
    }
}

/// A contribution that is verified and added to a [`RunningSum`] at once, which releases nothing until [`Self::finish`].
pub struct Addition<'a> {
    check: Check<'a>,
    body: &'a Body,
    change: Option<Change>,
}

impl Addition<'_> {
    /// Takes in the next bytes of c, as many as there are; pieces of 100 KB and more are fastest.
    pub fn push(&mut self, values: &[u8]) {
        let change = self.change.as_ref();
        self.check.push(values, |start, share| {
            if let Some(change) = change {
                change.add(start, share);
            }
        });
    }

    /// The verdict. What is accepted is a member of the sum.
    ///
    /// # Errors
    /// The step that rejects it, with what must be done about the sum.
    pub fn finish(mut self) -> Result<(), Rejected> {
        let verdict = self.check.finish(self.body);
        let Self { check, change, .. } = self;
        match (verdict, change) {
            (Ok(tail), Some(change)) => {
                change.add(check.verifier.program.dimension(), &tail);
                change.finish(true);
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(step), change) => Err(Rejected { step, undo: change.and_then(|change| check.undo(change)).map(Box::new) }),
        }
    }
}

/// A contribution that is not accepted.
#[must_use = "the sum waits until what was added is taken out again"]
pub struct Rejected {
    /// The first step that fails: format, seed, proof.
    pub step: Rejection,
    /// Some of a share is in the sum: to be given the same bytes once more.
    pub undo: Option<Box<Removal>>,
}

impl core::fmt::Debug for Rejected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Rejected({}, undo: {})", self.step, self.undo.is_some())
    }
}

/// A share that is computed once more and taken out of a [`RunningSum`]. Dropped before the end, or given other bytes than the
/// first time, it makes the sum start again from nothing.
pub struct Removal {
    reading: Reading,
    shares: Shares,
    change: Change,
    length: u64,
    /// The hash of the bytes that were added.
    expected: B256,
    /// What was added behind the coordinates.
    tail: Zeroizing<Vec<Fp>>,
}

impl Removal {
    /// How many bytes it is to be given: as many as were added.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes in the next bytes of c.
    pub fn push(&mut self, values: &[u8]) {
        let Self { reading, shares, change, .. } = self;
        reading.push(values, |start, block| {
            shares.unmask_block(block);
            change.subtract(start, block);
        });
    }

    /// Whether these were the bytes that had been added, so that the sum is what it would be without them. If not, it is empty and
    /// everything is to be added again.
    pub fn finish(self) -> bool {
        let same = self.reading.hash.finish() == self.expected;
        if same {
            self.change.subtract(self.reading.dimension, &self.tail);
            self.change.finish(false);
        }
        same
    }
}

fn seed_matches(ctx: &B256, body: &Body, number: usize, seed: &Seed) -> bool {
    body.commitments.get(number) == Some(&seed_commitment(ctx, number as u64, seed.expose()))
}
