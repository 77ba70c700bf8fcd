//! Programs: what is proved about each input and how the output is read (sections 2 and 4).
//!
//! A program is a set of quadratic constraints over the input x and a witness W. The proof of section 5 never looks
//! inside: it asks a program for the rho-combination of its constraints at one evaluation point, as a running sum, so
//! that vectors are streamed in blocks. Projections on the random rows are linear and the same for every program, so
//! the proof computes them and hands them over.

mod one_hot;
pub(crate) mod rows;
mod weighted_mean;

pub use one_hot::OneHot;
pub(crate) use weighted_mean::SMALLEST_SHRINK;
pub use weighted_mean::WeightedMean;

use crate::cores::Cores;
use crate::error::{EncodeError, InvalidParameters, Malformed};
use crate::field::{Ext, Fp};
use crate::transcript::hash;
use alloy_primitives::B256;
use zeroize::Zeroizing;

/// Bytes of the public matrix that belong to one coordinate: 16 bytes P and 16 bytes Q, R = P - Q.
pub const ROW_BYTES: usize = 32;
/// The same in words of 64 bits.
pub(crate) const ROW_WORDS: usize = ROW_BYTES / 8;

/// What is proved about an input, and how the output is read.
pub trait Program: Send + Sync + core::fmt::Debug {
    /// The program's name, as in the program hash.
    fn name(&self) -> &'static str;
    /// The bytes of the parameters, as in the program hash.
    fn parameters(&self) -> Vec<u8>;
    /// Number of coordinates d of the input.
    fn dimension(&self) -> usize;
    /// Number of entries of the witness.
    fn witness_len(&self) -> usize;
    /// Number of entries of the output: d, and the weight where there is one.
    fn output_len(&self) -> usize;
    /// Rows of the random matrix that the constraints need; 0 for none.
    fn rows(&self) -> usize;
    /// The largest magnitude that a coordinate of an honest input may have, as the parameters say.
    fn largest(&self) -> u64;
    /// The witness of an honest input with these projections <R_i, x> on the rows. An input with a coordinate over
    /// [`Self::largest`] has wrong projections and is refused before they are looked at.
    ///
    /// # Errors
    /// [`EncodeError`] when the input violates a constraint.
    fn witness_of(&self, cores: Cores, input: &[Fp], weight: u64, projections: &[Fp]) -> Result<Vec<Fp>, EncodeError>;
    /// Starts the rho-combination of all constraints at one evaluation point, from coordinate number `start` on.
    fn combine(&self, rho: Ext, start: usize) -> Box<dyn Combination + '_>;
    /// The last entries of the output, after the input's own: the weight, from the witness.
    fn output_tail(&self, witness: &[Fp]) -> Vec<Fp>;

    /// The witness of an honest input. `rows` reads the matrix from its start.
    ///
    /// # Errors
    /// [`EncodeError`] when the input violates a constraint.
    fn witness(&self, input: &[Fp], weight: u64, rows: &mut dyn FnMut(&mut [u8])) -> Result<Vec<Fp>, EncodeError> {
        let mut projections = rows::Projections::new(self.rows(), &[false]);
        let mut bytes = vec![0; crate::prove::BLOCK * ROW_BYTES];
        for block in input.chunks(crate::prove::BLOCK).filter(|_| self.rows() > 0) {
            let bytes = &mut bytes[..block.len() * ROW_BYTES];
            rows(bytes);
            let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            projections.absorb(&[block], &words);
        }
        self.witness_of(Cores::ONE, input, weight, &Zeroizing::new(projections.values())[0])
    }

    /// H("program", name, parameters).
    fn hash(&self) -> B256 {
        hash("program", &[self.name().as_bytes(), &self.parameters()])
    }
}

/// The rho-combination of a program's constraints at one evaluation point, under way.
pub trait Combination {
    /// Takes in the next coordinates of X.
    fn absorb(&mut self, input: &[Fp]);
    /// What the coordinates absorbed so far add to the combination.
    fn sum(&self) -> Ext;
    /// The combination, of degree <= 2t in the evaluation point, given W and the projections of X on the rows. It is
    /// that of no coordinates plus the [`Self::sum`] of all.
    fn finish(&self, witness: &[Fp], projections: &[Fp]) -> Ext;
}

/// The program that a study names on chain, with the exact bytes that its hash covers.
///
/// # Errors
/// [`InvalidParameters`] for an unknown name, another length, or values out of range. Parameters that the vectors may
/// have and production may not (fewer than 128 rows) pass here; see [`WeightedMean::check_production`].
pub fn parse(name: &str, parameters: &[u8]) -> Result<AnyProgram, InvalidParameters> {
    let wrong = |program, expected| InvalidParameters::ProgramParameters { program, expected, found: parameters.len() };
    let word = |i: usize| parameters.as_chunks::<8>().0.get(i).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    match name {
        WeightedMean::NAME if parameters.len() != 40 => Err(wrong(WeightedMean::NAME, 40)),
        WeightedMean::NAME => {
            WeightedMean::new(word(0), word(1), word(2), word(3), f64::from_bits(word(4))).map(AnyProgram::WeightedMean)
        }
        OneHot::NAME if parameters.len() != 8 => Err(wrong(OneHot::NAME, 8)),
        OneHot::NAME => OneHot::new(word(0)).map(AnyProgram::OneHot),
        _ => Err(InvalidParameters::UnknownProgram(name.to_owned())),
    }
}

/// One of the programs that this version runs.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyProgram {
    /// Federated averaging.
    WeightedMean(WeightedMean),
    /// A ballot.
    OneHot(OneHot),
}

impl AnyProgram {
    /// What production refuses although the vectors contain it.
    ///
    /// # Errors
    /// [`InvalidParameters`].
    pub fn check_production(&self) -> Result<(), InvalidParameters> {
        match self {
            Self::WeightedMean(program) => program.check_production(),
            Self::OneHot(_) => Ok(()),
        }
    }
}

impl core::ops::Deref for AnyProgram {
    type Target = dyn Program;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::WeightedMean(program) => program,
            Self::OneHot(program) => program,
        }
    }
}

/// Bits of `value`, least significant first, as field elements.
fn bits(value: u128, count: usize) -> impl Iterator<Item = Fp> {
    (0..count).map(move |i| Fp::reduce((value >> i & 1) as u64))
}

/// Sum of 2^i times entry i.
fn from_bits(entries: &[Fp]) -> Fp {
    entries.iter().rev().fold(Fp::ZERO, |sum, &bit| sum + sum + bit)
}

/// Checks a vector's length against the one that the program demands.
///
/// # Errors
/// [`Malformed::Length`].
pub fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), Malformed> {
    if expected == found { Ok(()) } else { Err(Malformed::Length { what, expected, found }) }
}
