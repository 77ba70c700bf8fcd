//! Program `weighted-mean`: a norm-bounded vector with a bounded weight (sections 2 and 4).

use super::{Combination, Program, bits, from_bits};
use crate::cores::Cores;
use crate::error::{EncodeError, InvalidParameters};
use crate::field::{Ext, Fp, ProductSum};

/// The smallest 1 - e that a study may have: the mean of accepted updates lies in the ball of radius C/(1-e).
pub(crate) const SMALLEST_SHRINK: f64 = 0.9;
/// Clip radii that updates can be compared with: no square of a coordinate that counts underflows, and no quotient overflows.
const CLIPS: core::ops::RangeInclusive<f64> = 1e-100..=1e100;
/// Standard deviations of the rounding's product with the vector for which 1 - e leaves room.
const ROUNDING_DEVIATIONS: f64 = 9.5;

/// Proves ‖x‖ <= kappa·w over the integers and 1 <= w <= 2^b, with kappa = 2^(s-b).
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedMean {
    d: u64,
    s: u32,
    b: u32,
    tests: u32,
    clip: f64,
}

impl WeightedMean {
    /// The program's name.
    pub const NAME: &'static str = "weighted-mean";
    /// Rows that production demands.
    pub const PRODUCTION_TESTS: u64 = 128;

    /// Checks the parameters: `d` coordinates, scale bits `s`, weight bits `b`, number of norm-test rows, clip radius.
    ///
    /// # Errors
    /// [`InvalidParameters`] that names the broken rule.
    pub fn new(d: u64, s: u64, b: u64, tests: u64, clip: f64) -> Result<Self, InvalidParameters> {
        if !(1..=1 << 32).contains(&d) {
            return Err(InvalidParameters::Dimension(d));
        }
        if b > 16 {
            return Err(InvalidParameters::WeightBits(b));
        }
        if s > 25 || b > s {
            return Err(InvalidParameters::Scale { s, b });
        }
        if !(1..=128).contains(&tests) {
            return Err(InvalidParameters::Tests(tests));
        }
        if !CLIPS.contains(&clip) {
            return Err(InvalidParameters::Clip(format!("{clip:e}")));
        }
        Ok(Self { d, s: s as u32, b: b as u32, tests: tests as u32, clip })
    }

    /// Refuses what only known answers may use: fewer than 128 rows, and a kappa too small to encode with.
    ///
    /// # Errors
    /// [`InvalidParameters::TestsNotProduction`], [`InvalidParameters::KappaTooSmall`].
    pub fn check_production(&self) -> Result<(), InvalidParameters> {
        if u64::from(self.tests) != Self::PRODUCTION_TESTS {
            return Err(InvalidParameters::TestsNotProduction(self.tests.into()));
        }
        if self.shrink() < SMALLEST_SHRINK {
            return Err(InvalidParameters::KappaTooSmall { d: self.d });
        }
        Ok(())
    }

    /// kappa = 2^(s-b): the integer norm that one unit of weight may have.
    #[must_use]
    pub fn kappa(&self) -> u64 {
        1 << (self.s - self.b)
    }

    /// The clip radius C.
    #[must_use]
    pub fn clip(&self) -> f64 {
        self.clip
    }

    /// The largest weight, 2^b.
    #[must_use]
    pub fn max_weight(&self) -> u64 {
        1 << self.b
    }

    /// 1 - e, the part of the bound that is left for the update once rounding has its room; the same for every site, so that
    /// the mean stays unbiased. y = kappa·(1-e) solves y² + 9.5y + d/4 = kappa²: rounding adds d/4 to the square norm in the
    /// mean, and 9.5 standard deviations of its product with the vector are 9.5y. The mean of what passes the proof lies in the
    /// ball of radius C/(1-e).
    #[must_use]
    pub fn shrink(&self) -> f64 {
        let twice = 2 * self.kappa();
        // At most 2^52: an exact integer, as is the difference.
        let Some(rest) = (twice * twice).checked_sub(self.d).filter(|rest| *rest > 0) else { return 0.0 };
        ((rest as f64 + ROUNDING_DEVIATIONS * ROUNDING_DEVIATIONS).sqrt() - ROUNDING_DEVIATIONS) / twice as f64
    }

    fn slack_bits(&self) -> usize {
        2 * self.s as usize + 1
    }

    fn row_bits(&self) -> usize {
        self.s as usize + 4
    }

    /// 2^(s+3), added to a row's projection so that it is not negative.
    fn row_offset(&self) -> u64 {
        1 << (self.s + 3)
    }

    /// Where the rows' bits start in the witness.
    fn rows_at(&self) -> usize {
        self.b as usize + self.slack_bits()
    }

    fn weight_of(&self, witness: &[Fp]) -> Fp {
        Fp::ONE + from_bits(&witness[..self.b as usize])
    }

    /// kappa²w² - Σx², or `None` when the norm is over the bound.
    fn slack(&self, cores: Cores, input: &[Fp], weight: u64) -> Option<u128> {
        let limit = self.kappa() * weight;
        let ranges = cores.ranges(input.len(), SQUARES);
        let parts = cores.each(ranges, |range| input[range].chunks(SQUARES).map(squares).fold((0, 0), add_squares));
        let (largest, sum) = parts.into_iter().fold((0, 0), add_squares);
        if largest > limit { None } else { u128::from(limit).pow(2).checked_sub(sum) }
    }
}

/// Squares that are summed in 64 bits: values of at most 2^25 leave room for more.
const SQUARES: usize = 1 << 12;

/// The largest magnitude among at most [`SQUARES`] values, and the sum of their squares; the sum is right if the
/// magnitude is at most 2^25.
fn squares(block: &[Fp]) -> (u64, u128) {
    let (largest, sum) = block.iter().fold((0, 0u64), |(largest, sum), value| {
        let magnitude = value.signed().unsigned_abs();
        (magnitude.max(largest), sum.wrapping_add(magnitude.wrapping_mul(magnitude)))
    });
    (largest, sum.into())
}

fn add_squares(a: (u64, u128), b: (u64, u128)) -> (u64, u128) {
    // Of at most 2^20 blocks, below 2^64 each: no sum is checked, as that would be a branch.
    (a.0.max(b.0), a.1.wrapping_add(b.1))
}

impl Program for WeightedMean {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn parameters(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        for word in [self.d, self.s.into(), self.b.into(), self.tests.into(), self.clip.to_bits()] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn dimension(&self) -> usize {
        self.d as usize
    }

    fn witness_len(&self) -> usize {
        self.rows_at() + self.tests as usize * self.row_bits()
    }

    fn output_len(&self) -> usize {
        self.dimension() + 1
    }

    fn rows(&self) -> usize {
        self.tests as usize
    }

    fn largest(&self) -> u64 {
        self.kappa() * self.max_weight()
    }

    fn witness_of(&self, cores: Cores, input: &[Fp], weight: u64, projections: &[Fp]) -> Result<Vec<Fp>, EncodeError> {
        if !(1..=self.max_weight()).contains(&weight) {
            return Err(EncodeError::Weight { max: self.max_weight(), found: weight });
        }
        let slack = self.slack(cores, input, weight).ok_or(EncodeError::Constraint("its norm is over kappa times its weight"))?;
        let mut witness: Vec<Fp> = bits(u128::from(weight - 1), self.b as usize).collect();
        witness.extend(bits(slack, self.slack_bits()));
        for projection in projections {
            let y = i128::from(projection.signed()) + i128::from(self.row_offset());
            if !(0..2 * i128::from(self.row_offset())).contains(&y) {
                return Err(EncodeError::RowOutOfRange);
            }
            witness.extend(bits(y as u128, self.row_bits()));
        }
        Ok(witness)
    }

    fn combine(&self, rho: Ext, _start: usize) -> Box<dyn Combination + '_> {
        Box::new(Norm { program: self, rho, squares: ProductSum::default() })
    }

    fn output_tail(&self, witness: &[Fp]) -> Vec<Fp> {
        vec![self.weight_of(witness)]
    }
}

struct Norm<'a> {
    program: &'a WeightedMean,
    rho: Ext,
    squares: ProductSum,
}

impl Combination for Norm<'_> {
    fn absorb(&mut self, input: &[Fp]) {
        let mut squares = self.squares;
        for &value in input {
            squares.add(value, value);
        }
        self.squares = squares;
    }

    fn sum(&self) -> Ext {
        Ext { a: self.squares.value(), b: Fp::ZERO }
    }

    fn finish(&self, witness: &[Fp], projections: &[Fp]) -> Ext {
        let program = self.program;
        let weight = program.weight_of(witness);
        let slack = from_bits(&witness[program.b as usize..program.rows_at()]);
        let kappa = Fp::reduce(program.kappa());
        let norm = self.squares.value() + slack - kappa * kappa * weight * weight;
        let bits = witness.iter().map(|&v| v * v - v);
        let row_bits = witness[program.rows_at()..].chunks(program.row_bits());
        let offset = Fp::reduce(program.row_offset());
        let rows = projections.iter().zip(row_bits).map(|(&y, bits)| y + offset - from_bits(bits));
        combine(self.rho, core::iter::once(norm).chain(bits).chain(rows))
    }
}

/// Sum of rho^i times term i.
pub(super) fn combine(rho: Ext, terms: impl Iterator<Item = Fp>) -> Ext {
    let (mut sum, mut power) = (Ext::ZERO, Ext::ONE);
    for term in terms {
        sum += power.scale(term);
        power = power * rho;
    }
    sum
}
