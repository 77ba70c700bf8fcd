//! Section 5, the node's side: each node checks a contribution alone, on its own shares.
//!
//! A node rejects in this order: `format` (lengths, canonical values), `seed` (a seed is missing or does not match its
//! commitment), `proof` (V on its shares differs from Σ v_e j^e).

use crate::contribution::{Body, Contribution};
use crate::error::Rejection;
use crate::field::{self, Fp};
use crate::mask::{Seed, Shares};
use crate::params::Committee;
use crate::program::{Program, ROW_BYTES};
use crate::prove::{BLOCK, combine_challenge, evaluate_proof, rows_challenge, rows_stream};
use crate::seal::{BoxContext, KemSecret};
use crate::transcript::{seed_commitment, values_hash};
use alloy_primitives::{Address, B256};
use std::collections::BTreeMap;
use zeroize::Zeroize;

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
        self.check_format(body, values)?;
        for number in self.committee.seeds_of(self.node) {
            let seed = seeds.get(&number).ok_or(Rejection::Seed)?;
            if !seed_matches(ctx, body, number, seed) {
                return Err(Rejection::Seed);
            }
        }
        let share = self.check_proof(ctx, body, values, seeds)?;
        Ok(Accepted { site, digest: body.digest(ctx), share })
    }

    fn check_format(&self, body: &Body, values: &[u8]) -> Result<(), Rejection> {
        let right_lengths = body.check(self.committee, self.program).is_ok() && values.len() == 8 * self.program.dimension();
        let canonical = field::words(values).all(|word| word.is_some());
        let addressed = values_hash(values) == body.values_hash;
        if right_lengths && canonical && addressed { Ok(()) } else { Err(Rejection::Format) }
    }

    fn check_proof(&self, ctx: &B256, body: &Body, values: &[u8], seeds: &BTreeMap<usize, Seed>) -> Result<Vec<Fp>, Rejection> {
        let rows = rows_challenge(ctx, &body.commitments, &body.values_hash);
        let rho = combine_challenge(&rows, &body.witness);
        let held = seeds.iter().map(|(&number, seed)| (number, seed));
        let mut shares = Shares::new(self.committee, self.node, ctx, self.program.witness_len(), held);
        let mut combination = self.program.combine(rho);
        let mut output = Vec::with_capacity(self.program.output_len());
        output.extend(field::words(values).flatten());
        let mut stream = rows_stream(&rows);
        let mut row_block = vec![0; if self.program.has_rows() { BLOCK * ROW_BYTES } else { 0 }];
        for block in output.chunks_mut(BLOCK) {
            let row_bytes = row_block.len().min(block.len() * ROW_BYTES);
            stream.fill_bytes(&mut row_block[..row_bytes]);
            shares.unmask_block(block);
            combination.absorb(block, &row_block[..row_bytes]);
        }
        let witness = shares.witness(&body.witness);
        if combination.finish(&witness) + shares.zero() != evaluate_proof(&body.proof, self.node) {
            output.zeroize();
            return Err(Rejection::Proof);
        }
        output.extend(self.program.output_tail(&witness));
        Ok(output)
    }
}

fn seed_matches(ctx: &B256, body: &Body, number: usize, seed: &Seed) -> bool {
    body.commitments.get(number) == Some(&seed_commitment(ctx, number as u64, seed.expose()))
}
