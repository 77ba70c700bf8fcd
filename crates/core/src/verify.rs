//! Section 5, the node's side: each node checks a contribution alone, on its own shares.
//!
//! A node rejects in this order: `format` (lengths, canonical values), `seed` (a seed is missing or does not match its
//! commitment), `proof` (V on its shares differs from Σ v_e j^e).

use crate::contribution::{Body, Contribution};
use crate::error::Rejection;
use crate::field::{self, Fp};
use crate::mask::{Seed, Shares};
use crate::params::Committee;
use crate::program::rows::Projections;
use crate::program::{Combination, Program};
use crate::prove::{BLOCK, RowBlocks, combine_challenge, evaluate_proof, rows_challenge};
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

    /// Checks a contribution with a ctx that the node built itself. `values` are the bytes of c, `seeds` those that
    /// the node holds, by number.
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
        let mut check = self.start(site, ctx, body, seeds);
        check.push(values);
        check.finish()
    }

    /// Starts to check a contribution whose masked vector arrives in pieces, for example from a disk; as
    /// [`Self::verify`] in all else.
    #[must_use]
    pub fn start<'a>(&'a self, site: Address, ctx: &B256, body: &'a Body, seeds: &BTreeMap<usize, Seed>) -> Check<'a> {
        let right_lengths = body.check(self.committee, self.program).is_ok();
        let entitled = || self.committee.seeds_of(self.node);
        let held = |number| seeds.get(&number).is_some_and(|seed: &Seed| seed_matches(ctx, body, number, seed));
        let running = (right_lengths && entitled().all(held)).then(|| {
            let rows = rows_challenge(ctx, &body.commitments, &body.values_hash);
            Running {
                shares: Shares::new(self.committee, self.node, ctx, entitled().filter_map(|i| Some((i, seeds.get(&i)?)))),
                combination: self.program.combine(combine_challenge(&rows, &body.witness), 0),
                projections: Projections::new(self.program.rows(), &[false]),
                matrix: RowBlocks::new(self.program.rows(), &rows),
            }
        });
        let mut hash = Transcript::new("values");
        hash.part_header(8 * self.program.dimension() as u64);
        let output = Zeroizing::new(pages::with_capacity(if right_lengths { self.program.output_len() } else { 0 }));
        let job = Job { verifier: self, site, digest: body.digest(ctx), body };
        Check { job, hash, well_formed: right_lengths, partial: Vec::new(), output, running }
    }
}

/// What a check is about.
struct Job<'a> {
    verifier: &'a Verifier<'a>,
    site: Address,
    digest: B256,
    body: &'a Body,
}

/// The sums of a check, present while its seeds are right.
struct Running<'a> {
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

/// A contribution under verification, its masked vector read piece by piece; each piece is used while it is in the
/// cache. The row challenge covers the hash of the whole vector: the check starts from the hash that the site signed
/// and compares it at the end.
pub struct Check<'a> {
    job: Job<'a>,
    hash: Transcript,
    /// Lengths are right and all words so far canonical.
    well_formed: bool,
    /// The bytes of a word that has not arrived whole.
    partial: Vec<u8>,
    output: Zeroizing<Vec<Fp>>,
    running: Option<Running<'a>>,
}

impl Check<'_> {
    /// Takes in the next bytes of c, as many as there are; pieces of 100 KB and more are fastest.
    pub fn push(&mut self, values: &[u8]) {
        for piece in values.chunks(PIECE) {
            if !self.well_formed {
                return;
            }
            self.hash.part_bytes(piece);
            let missing = (8 - self.partial.len()) % 8;
            let (head, rest) = piece.split_at(missing.min(piece.len()));
            self.partial.extend_from_slice(head);
            if self.partial.len() == 8 {
                let word = core::mem::take(&mut self.partial);
                self.absorb(word.as_chunks::<8>().0);
            }
            let (words, tail) = rest.as_chunks::<8>();
            words.chunks(BLOCK).for_each(|block| self.absorb(block));
            self.partial.extend_from_slice(tail);
        }
    }

    fn absorb(&mut self, block: &[[u8; 8]]) {
        let start = self.output.len();
        self.well_formed &= start + block.len() <= self.job.verifier.program.dimension();
        if !self.well_formed {
            return;
        }
        self.well_formed &= field::extend_from_bytes(&mut self.output, block);
        if let Some(running) = &mut self.running {
            running.absorb(&mut self.output[start..]);
        }
    }

    /// The verdict.
    ///
    /// # Errors
    /// The [`Rejection`] step, the first that fails: format, seed, proof.
    pub fn finish(mut self) -> Result<Accepted, Rejection> {
        let Job { verifier, site, digest, body } = self.job;
        let complete = self.output.len() == verifier.program.dimension() && self.partial.is_empty();
        if !(self.well_formed && complete && self.hash.finish() == body.values_hash) {
            return Err(Rejection::Format);
        }
        let mut running = self.running.ok_or(Rejection::Seed)?;
        let witness = Zeroizing::new(running.shares.witness(&body.witness));
        let projections = Zeroizing::new(running.projections.values());
        let combined = running.combination.finish(&witness, &projections[0]);
        if combined + running.shares.zero() != evaluate_proof(&body.proof, verifier.node) {
            return Err(Rejection::Proof);
        }
        self.output.extend(verifier.program.output_tail(&witness));
        Ok(Accepted { site, digest, share: core::mem::take(&mut self.output) })
    }
}

fn seed_matches(ctx: &B256, body: &Body, number: usize, seed: &Seed) -> bool {
    body.commitments.get(number) == Some(&seed_commitment(ctx, number as u64, seed.expose()))
}
