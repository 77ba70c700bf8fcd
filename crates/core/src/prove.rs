//! Sections 3 (steps 3 to 6) and 5, the site's side: challenges, witness and the 2t coefficients of V.

use crate::cores::Cores;
use crate::encode::Encoded;
use crate::error::EncodeError;
use crate::field::{self, Ext, Fp};
use crate::mask::Seeds;
use crate::params::{Committee, lagrange};
use crate::program::rows::Projections;
use crate::program::{Program, ROW_WORDS};
use crate::secret::Secret;
use crate::simd::rows::SMALL;
use crate::stream::Stream;
use crate::transcript::{concat, hash, values_hash_of};
use alloy_primitives::B256;
use core::ops::Range;
use zeroize::{Zeroize, Zeroizing};

/// Coordinates processed at a time, so that a block of the matrix and of some masks stays in the cache.
pub const BLOCK: usize = 512;

/// χ1 = H("challenge rows", ctx, com, H("values", c)).
#[must_use]
pub fn rows_challenge(ctx: &B256, commitments: &[B256], values: &B256) -> B256 {
    hash("challenge rows", &[ctx.as_slice(), &concat(commitments), values.as_slice()])
}

/// ρ from H("challenge combine", χ1, c_w).
#[must_use]
pub fn combine_challenge(rows: &B256, masked_witness: &[Fp]) -> Ext {
    let seed = hash("challenge combine", &[rows.as_slice(), &field::to_bytes(masked_witness)]);
    Stream::new(&seed.0, "rho", &[]).extension()
}

/// The stream of the public matrix R.
#[must_use]
pub fn rows_stream(rows: &B256) -> Stream {
    Stream::new(&rows.0, "rows", &[])
}

/// What a site computes from its input: everything of the message but boxes and signature.
#[derive(Debug, Clone)]
pub struct Proved {
    /// com_i, in the order of T.
    pub commitments: Vec<B256>,
    /// c, the masked vector.
    pub values: Vec<Fp>,
    /// H("values", c).
    pub values_hash: B256,
    /// c_w, the masked witness.
    pub witness: Vec<Fp>,
    /// v_1..v_2t.
    pub proof: Vec<Ext>,
}

/// Masks an encoded input and proves the program's constraints about it, on a copy: the input stays as it is.
///
/// # Errors
/// [`EncodeError`] when the input violates the program, or (once in 2^57) a row is out of range: draw fresh seeds.
pub fn prove(
    committee: &Committee,
    program: &dyn Program,
    ctx: &B256,
    input: &Encoded,
    seeds: &Seeds,
) -> Result<Proved, EncodeError> {
    prove_on(Cores::ONE, committee, program, ctx, &mut input.clone(), seeds)
}

/// [`prove`] on several cores and without a copy: the input's coordinates are used up, wiped and gone when it is proved, and as they
/// were after an error.
///
/// # Errors
/// As [`prove`].
pub fn prove_on(
    cores: Cores,
    committee: &Committee,
    program: &dyn Program,
    ctx: &B256,
    input: &mut Encoded,
    seeds: &Seeds,
) -> Result<Proved, EncodeError> {
    let job = Job { cores, committee, program, ctx, seeds, small: program.largest() <= SMALL, step: committee.step() };
    job.prove(input, |input, _, projections| program.witness_of(cores, input.values(), input.weight(), projections))
}

/// [`prove`] with the witness that `witness` makes up after seeing the row challenge. A forged witness makes V(0)
/// differ from 0, which the published form of V cannot express: it is right at 2t points, here those of nodes 1..=2t, who accept.
/// Tests play cheating sites with it.
///
/// # Errors
/// Whatever `witness` returns, and [`EncodeError::Length`].
pub fn prove_with(
    committee: &Committee,
    program: &dyn Program,
    ctx: &B256,
    input: &Encoded,
    seeds: &Seeds,
    witness: impl FnOnce(&B256) -> Result<Vec<Fp>, EncodeError>,
) -> Result<Proved, EncodeError> {
    let job = Job { cores: Cores::ONE, committee, program, ctx, seeds, small: false, step: 1 };
    job.prove(&mut input.clone(), |_, rows, _| witness(rows))
}

/// What a proof is made with, but for the input.
struct Job<'a> {
    cores: Cores,
    committee: &'a Committee,
    program: &'a dyn Program,
    ctx: &'a B256,
    seeds: &'a Seeds,
    /// Honest inputs are small integers, as the program's parameters say, and a witness is made for no others. Nothing
    /// that depends on the input decides it.
    small: bool,
    /// V is evaluated at its multiples 1..=2t.
    step: usize,
}

impl Job<'_> {
    /// A proof with a witness made from the row challenge and the projections of the input.
    ///
    /// All polynomials are taken in u = z/step. One pass over the mask streams gives c and X at u = 1..t, one over the matrix their
    /// projections and those of x = X(0). X and its projections are polynomials of degree t, so t+1 points determine them at
    /// t+1..2t.
    fn prove(
        &self,
        input: &mut Encoded,
        witness: impl FnOnce(&Encoded, &B256, &[Fp]) -> Result<Vec<Fp>, EncodeError>,
    ) -> Result<Proved, EncodeError> {
        let Self { cores, committee, program, ctx, seeds, step, .. } = *self;
        let x = input.values();
        if x.len() != program.dimension() {
            return Err(EncodeError::Length { expected: program.dimension(), found: x.len() });
        }
        let commitments = seeds.commitments(ctx);
        let factors: Vec<_> = (1..=committee.t()).map(|u| Seeds::share_factors(committee, u * step)).collect();
        let mut values = seeds.mask(cores, "values", ctx, x, &factors);
        let values_hash = values_hash_of(cores, &values.masked);
        let rows = rows_challenge(ctx, &commitments, &values_hash);
        let projections = Zeroizing::new(self.project(&rows, &with_input(x, &values.shares)));
        let plain = Zeroizing::new(witness(input, &rows, &projections[0])?);
        if plain.len() != program.witness_len() {
            return Err(EncodeError::Length { expected: program.witness_len(), found: plain.len() });
        }
        let witness = seeds.mask(Cores::ONE, "witness", ctx, &plain, &factors);
        let witnesses = with_input(&plain, &witness.shares);
        let projections: Vec<&[Fp]> = projections.iter().map(Vec::as_slice).collect();
        let mut inputs: Vec<&mut Secret> = core::iter::once(input.secret()).chain(&mut values.shares).collect();
        let proof = self.proof(combine_challenge(&rows, &witness.masked), &mut inputs, [&witnesses, &projections]);
        Ok(Proved { commitments, values: values.masked, values_hash, witness: witness.masked, proof })
    }

    /// The projections of x and of its shares on the rows, in one pass over the matrix.
    fn project(&self, challenge: &B256, vectors: &[&[Fp]]) -> Vec<Vec<Fp>> {
        let rows = self.program.rows();
        let length = if rows > 0 { vectors[0].len() } else { 0 };
        let small: Vec<bool> = (0..vectors.len()).map(|i| i == 0 && self.small).collect();
        let part = |range| project_part(Projections::new(rows, &small), RowBlocks::new(rows, challenge), vectors, range);
        let mut sums = vec![vec![Fp::ZERO; rows]; vectors.len()];
        for mut part in self.cores.each(self.cores.ranges(length, BLOCK), part) {
            for (sums, values) in sums.iter_mut().zip(&part) {
                sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
            }
            part.zeroize();
        }
        sums
    }

    /// v_1..v_2t from the vectors X, which are used up, the witnesses W and the projections at u in 0..=t.
    fn proof(&self, rho: Ext, inputs: &mut [&mut Secret], [witnesses, projections]: [&[&[Fp]]; 2]) -> Vec<Ext> {
        let points = 1..=2 * self.committee.t();
        let sums = Secret::use_up(self.cores, inputs, BLOCK, |start, inputs| {
            points.clone().map(|u| sum_at(self.program, rho, u, start, inputs)).collect()
        });
        let evaluate = |u: usize| {
            let rest = self.program.combine(rho, 0).finish(&whole(witnesses, u), &whole(projections, u));
            sums.iter().fold(rest + self.seeds.zero(self.committee, u * self.step, self.ctx), |sum, part| sum + part[u - 1])
        };
        let coefficients = fit(&points.clone().map(evaluate).collect::<Vec<_>>());
        // The coefficient of u^e is that of z^e times step^e.
        let inverse = Fp::reduce(self.step as u64).inverse();
        (1..).zip(coefficients).map(|(e, coefficient)| coefficient.scale(inverse.power(e))).collect()
    }
}

/// A polynomial's vectors at 0..=t.
fn with_input<'a>(plain: &'a [Fp], shares: &'a [Secret]) -> Vec<&'a [Fp]> {
    core::iter::once(plain).chain(shares.iter().map(|share| &**share)).collect()
}

fn project_part(mut projections: Projections, mut matrix: RowBlocks, vectors: &[&[Fp]], range: Range<usize>) -> Vec<Vec<Fp>> {
    matrix.advance(range.start);
    for start in range.clone().step_by(BLOCK) {
        let range = start..range.end.min(start + BLOCK);
        let blocks: Vec<&[Fp]> = vectors.iter().map(|vector| &vector[range.clone()]).collect();
        projections.absorb(&blocks, matrix.next_block(range.len()));
    }
    projections.values()
}

/// What the coordinates from `start` on add to the constraints' combination at u, from those of the vectors X at 0..=t.
fn sum_at(program: &dyn Program, rho: Ext, u: usize, start: usize, inputs: &[&[Fp]]) -> Ext {
    let mut combination = program.combine(rho, start);
    if let Some(vector) = inputs.get(u) {
        combination.absorb(vector);
        return combination.sum();
    }
    let length = inputs[0].len();
    let mut buffer = Zeroizing::new(vec![Fp::ZERO; BLOCK.min(length)]);
    for start in (0..length).step_by(BLOCK) {
        let range = start..length.min(start + BLOCK);
        let block = &mut buffer[..range.len()];
        at_point(inputs, u, range, block);
        combination.absorb(block);
    }
    combination.sum()
}

/// A polynomial of degree t at u, from its vectors at 0..=t.
fn whole(vectors: &[&[Fp]], u: usize) -> Zeroizing<Vec<Fp>> {
    let mut value = Zeroizing::new(vec![Fp::ZERO; vectors[0].len()]);
    at_point(vectors, u, 0..vectors[0].len(), &mut value);
    value
}

/// The coordinates `range` at u of the polynomials of degree t through `vectors` at 0..=t.
fn at_point(vectors: &[&[Fp]], u: usize, range: Range<usize>, out: &mut [Fp]) {
    if let Some(vector) = vectors.get(u) {
        out.copy_from_slice(&vector[range]);
        return;
    }
    out.fill(Fp::ZERO);
    let points: Vec<usize> = (0..vectors.len()).collect();
    let blocks: Vec<&[Fp]> = vectors.iter().map(|vector| &vector[range.clone()]).collect();
    field::add_products(out, &lagrange(&points, u), &blocks);
}

/// The public matrix R, read block by block.
pub(crate) struct RowBlocks {
    stream: Stream,
    words: Vec<u64>,
}

impl RowBlocks {
    /// The matrix of a row challenge; empty for a program without rows.
    pub(crate) fn new(rows: usize, challenge: &B256) -> Self {
        Self { stream: rows_stream(challenge), words: vec![0; if rows > 0 { BLOCK * ROW_WORDS } else { 0 }] }
    }

    /// Leaves out the words of that many coordinates.
    fn advance(&mut self, coordinates: usize) {
        self.stream.advance((coordinates * ROW_WORDS) as u64);
    }

    /// The words of the next `length` coordinates, at most [`BLOCK`].
    pub(crate) fn next_block(&mut self, length: usize) -> &[u64] {
        let count = self.words.len().min(length * ROW_WORDS);
        let words = &mut self.words[..count];
        self.stream.fill_words(words);
        words
    }
}

/// Coefficients v_1..v_m of the polynomial without constant term through (z, evaluations[z-1]), z = 1..m, by
/// Newton's divided differences on V(z)/z.
fn fit(evaluations: &[Ext]) -> Vec<Ext> {
    let point = |i: usize| Fp::reduce(i as u64 + 1);
    let mut table: Vec<Ext> = evaluations.iter().enumerate().map(|(i, v)| v.scale(point(i).inverse())).collect();
    for order in 1..table.len() {
        for i in (order..table.len()).rev() {
            let step = (point(i) - point(i - order)).inverse();
            table[i] = (table[i] - table[i - 1]).scale(step);
        }
    }
    let mut coefficients: Vec<Ext> = Vec::with_capacity(table.len());
    for (i, &difference) in table.iter().enumerate().rev() {
        coefficients.insert(0, Ext::ZERO);
        for k in 1..coefficients.len() {
            let lower = coefficients[k];
            coefficients[k - 1] = coefficients[k - 1] - lower.scale(point(i));
        }
        coefficients[0] += difference;
    }
    coefficients
}

/// Σ v_e z^e.
#[must_use]
pub fn evaluate_proof(proof: &[Ext], z: usize) -> Ext {
    let z = Fp::reduce(z as u64);
    proof.iter().rev().fold(Ext::ZERO, |sum, &v| (sum + v).scale(z))
}
