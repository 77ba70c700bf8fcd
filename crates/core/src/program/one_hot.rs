//! Program `one-hot`: a ballot. Every x_k is a bit and exactly one is 1; no witness, no rows; the output is the tally.

use super::{Combination, Program};
use crate::cores::Cores;
use crate::error::{EncodeError, InvalidParameters};
use crate::field::{Ext, Fp};

/// Proves x_k² = x_k for all k and Σ x_k = 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneHot {
    d: u64,
}

/// Most choices of a ballot. A forged one passes with a chance of d·2^-128 a try, so that 2^104 tries are left.
const MOST_CHOICES: u64 = 1 << 24;

impl OneHot {
    /// The program's name.
    pub const NAME: &'static str = "one-hot";

    /// A ballot with `d` choices.
    ///
    /// # Errors
    /// [`InvalidParameters::Choices`] unless 2 <= d <= 2^24.
    pub fn new(d: u64) -> Result<Self, InvalidParameters> {
        if (2..=MOST_CHOICES).contains(&d) { Ok(Self { d }) } else { Err(InvalidParameters::Choices { d, max: MOST_CHOICES }) }
    }
}

impl Program for OneHot {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn parameters(&self) -> Vec<u8> {
        self.d.to_le_bytes().to_vec()
    }

    fn dimension(&self) -> usize {
        self.d as usize
    }

    fn witness_len(&self) -> usize {
        0
    }

    fn output_len(&self) -> usize {
        self.dimension()
    }

    fn rows(&self) -> usize {
        0
    }

    fn largest(&self) -> u64 {
        1
    }

    fn witness_of(&self, _cores: Cores, input: &[Fp], _weight: u64, _projections: &[Fp]) -> Result<Vec<Fp>, EncodeError> {
        // One branch, on the verdict: nothing before depends on where the 1 is.
        let (sum, other_bits) = input
            .iter()
            .fold((0_u64, 0), |(sum, other_bits), value| (sum.wrapping_add(value.value() & 1), other_bits | value.value() >> 1));
        if (sum ^ 1) | other_bits == 0 {
            Ok(Vec::new())
        } else {
            Err(EncodeError::Constraint("a ballot has exactly one 1 and else zeros"))
        }
    }

    fn combine(&self, rho: Ext, start: usize) -> Box<dyn Combination + '_> {
        Box::new(Ballot { rho, power: rho.power(1 + start as u64), sum: Fp::ZERO, bits: Ext::ZERO })
    }

    fn output_tail(&self, _witness: &[Fp]) -> Vec<Fp> {
        Vec::new()
    }
}

struct Ballot {
    rho: Ext,
    power: Ext,
    sum: Fp,
    bits: Ext,
}

impl Combination for Ballot {
    fn absorb(&mut self, input: &[Fp]) {
        for &value in input {
            self.sum += value;
            self.bits += self.power.scale(value * value - value);
            self.power = self.power * self.rho;
        }
    }

    fn sum(&self) -> Ext {
        self.bits + Ext { a: self.sum, b: Fp::ZERO }
    }

    fn finish(&self, _witness: &[Fp], _projections: &[Fp]) -> Ext {
        self.sum() - Ext::ONE
    }
}
