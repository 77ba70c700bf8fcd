//! Sections 3 (steps 3 to 6) and 5, the site's side: challenges, witness and the 2t coefficients of V.

use crate::encode::Encoded;
use crate::error::EncodeError;
use crate::field::{self, Ext, Fp};
use crate::mask::{Seeds, Shares};
use crate::params::Committee;
use crate::program::{Program, ROW_BYTES};
use crate::stream::Stream;
use crate::transcript::{concat, hash, values_hash};
use alloy_primitives::B256;
use zeroize::Zeroizing;

/// Coordinates processed at a time, so that a block of the matrix and of the masks stays in the cache.
pub const BLOCK: usize = 2048;

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
    /// c_w, the masked witness.
    pub witness: Vec<Fp>,
    /// v_1..v_2t.
    pub proof: Vec<Ext>,
}

/// Masks an encoded input and proves the program's constraints about it.
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
    prove_with(committee, program, ctx, input, seeds, |rows| {
        let mut stream = rows_stream(rows);
        program.witness(input.values(), input.weight(), &mut |block| stream.fill_bytes(block))
    })
}

/// [`prove`] with the witness that `witness` makes up after seeing the row challenge. A forged witness makes V(0)
/// differ from 0, which the published form of V cannot express; tests play cheating sites with it.
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
    if input.values().len() != program.dimension() {
        return Err(EncodeError::Length { expected: program.dimension(), found: input.values().len() });
    }
    let commitments = seeds.commitments(ctx);
    let values = seeds.mask_values(ctx, input.values());
    let rows = rows_challenge(ctx, &commitments, &values_hash(&field::to_bytes(&values)));
    let plain = Zeroizing::new(witness(&rows)?);
    if plain.len() != program.witness_len() {
        return Err(EncodeError::Length { expected: program.witness_len(), found: plain.len() });
    }
    let witness = seeds.mask_witness(ctx, &plain);
    let rho = combine_challenge(&rows, &witness);
    let evaluations = evaluate(committee, program, ctx, &values, &witness, seeds, &rows, rho);
    Ok(Proved { commitments, values, witness, proof: fit(&evaluations) })
}

/// V(1)..V(2t), with one pass over the matrix for all points.
#[expect(clippy::too_many_arguments, reason = "the arguments are the transcript of one proof, all distinct types")]
fn evaluate(
    committee: &Committee,
    program: &dyn Program,
    ctx: &B256,
    values: &[Fp],
    witness: &[Fp],
    seeds: &Seeds,
    rows: &B256,
    rho: Ext,
) -> Vec<Ext> {
    let points = 1..=2 * committee.t();
    let open = |z| Shares::new(committee, z, ctx, program.witness_len(), seeds.as_slice().iter().enumerate());
    let mut running: Vec<_> = points.map(|z| (open(z), program.combine(rho))).collect();
    let mut stream = rows_stream(rows);
    let mut row_block = vec![0; if program.has_rows() { BLOCK * ROW_BYTES } else { 0 }];
    let mut share = Zeroizing::new(Vec::with_capacity(BLOCK));
    for block in values.chunks(BLOCK) {
        let row_bytes = row_block.len().min(block.len() * ROW_BYTES);
        stream.fill_bytes(&mut row_block[..row_bytes]);
        for (shares, combination) in &mut running {
            share.clear();
            share.extend_from_slice(block);
            shares.unmask_block(&mut share);
            combination.absorb(&share, &row_block[..row_bytes]);
        }
    }
    running.iter().map(|(shares, combination)| combination.finish(&shares.witness(witness)) + shares.zero()).collect()
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
