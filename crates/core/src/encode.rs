//! Section 2: from a real update to small integers, and from the sum of integers back to a mean.
//!
//! `clip -> scale by kappa·w·(1-e)/C -> round stochastically`, so that ‖x‖ <= kappa·w always holds and the rounding is
//! unbiased. This is the last place where floating point is used before the aggregate is decoded.

use crate::error::EncodeError;
use crate::field::Fp;
use crate::program::{OneHot, Program, WeightedMean};
use crate::simd::pages;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// An input of the protocol: integers and a weight. Wiped from memory on drop; `Debug` shows the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    values: Vec<Fp>,
    weight: u64,
}

impl Encoded {
    /// Any field elements with any claimed weight. The proof will not verify unless they satisfy the program; tests
    /// play cheating sites with it.
    #[must_use]
    pub fn unchecked(values: Vec<Fp>, weight: u64) -> Self {
        Self { values, weight }
    }

    /// The encoded coordinates.
    #[must_use]
    pub fn values(&self) -> &[Fp] {
        &self.values
    }

    /// The weight; 1 for programs without weights.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weight
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        self.values.zeroize();
        self.weight.zeroize();
    }
}

impl core::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Encoded({} coordinates, redacted)", self.values.len())
    }
}

/// Clips, scales and rounds an update (any real vector of the study's dimension) with weight `weight` in 1..=2^b.
///
/// # Errors
/// [`EncodeError`] for another length, values that are not finite, or a weight out of range.
pub fn encode(program: &WeightedMean, update: &[f64], weight: u64, rng: &mut dyn CryptoRng) -> Result<Encoded, EncodeError> {
    if update.len() != program.dimension() {
        return Err(EncodeError::Length { expected: program.dimension(), found: update.len() });
    }
    if let Some(bad) = update.iter().position(|v| !(v.is_finite() && v.abs() < 1e100)) {
        return Err(EncodeError::NotFinite(bad));
    }
    if !(1..=program.max_weight()).contains(&weight) {
        return Err(EncodeError::Weight { max: program.max_weight(), found: weight });
    }
    if program.shrink() < 0.5 {
        return Err(EncodeError::Constraint("kappa is too small for this dimension: lower b or raise s"));
    }
    let factor = clip_factor(update, program.clip()) * program.kappa() as f64 * weight as f64 * program.shrink() / program.clip();
    let mut values = pages::with_capacity(update.len());
    let mut random = Zeroizing::new([[0; 8]; DRAWN]);
    for part in update.chunks(DRAWN) {
        let random = &mut random[..part.len()];
        rng.fill_bytes(random.as_flattened_mut());
        values.extend(part.iter().zip(random).map(|(v, word)| round_stochastically(v * factor, u64::from_le_bytes(*word))));
    }
    Ok(Encoded { values, weight })
}

/// min(1, C/‖u‖), and 1 for the zero vector.
#[must_use]
pub fn clip_factor(update: &[f64], clip: f64) -> f64 {
    let norm = update.iter().map(|v| v * v).sum::<f64>().sqrt();
    if norm > 0.0 { (clip / norm).min(1.0) } else { 1.0 }
}

/// Random words that are drawn at a time.
const DRAWN: usize = 512;

/// floor(v) + 1 with probability v - floor(v), else floor(v). |v| < 2^26 here.
#[inline]
fn round_stochastically(value: f64, random: u64) -> Fp {
    let towards_zero = value as i64;
    let floor = towards_zero - i64::from(towards_zero as f64 > value);
    let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
    Fp::from_i64(floor + i64::from(uniform < value - floor as f64))
}

/// A ballot for choice number `choice`.
///
/// # Errors
/// [`EncodeError::Choice`].
pub fn encode_choice(program: &OneHot, choice: usize) -> Result<Encoded, EncodeError> {
    if choice >= program.dimension() {
        return Err(EncodeError::Choice { choices: program.dimension(), choice });
    }
    let mut values = vec![Fp::ZERO; program.dimension()];
    values[choice] = Fp::ONE;
    Ok(Encoded { values, weight: 1 })
}

/// The weighted mean, from an aggregate of d sums and the total weight: signed(v) · (C/(kappa·(1-e))) / Σw in this
/// order of binary64 operations.
///
/// # Errors
/// [`EncodeError`] when the aggregate has another length or no weight.
pub fn decode(program: &WeightedMean, aggregate: &[Fp]) -> Result<Vec<f64>, EncodeError> {
    let Some((total_weight, sums)) = aggregate.split_last().filter(|(_, sums)| sums.len() == program.dimension()) else {
        return Err(EncodeError::Length { expected: program.output_len(), found: aggregate.len() });
    };
    if *total_weight == Fp::ZERO {
        return Err(EncodeError::Constraint("the total weight is zero"));
    }
    let unit = program.clip() / (program.kappa() as f64 * program.shrink());
    let total_weight = total_weight.value() as f64;
    Ok(sums.iter().map(|v| v.signed() as f64 * unit / total_weight).collect())
}

/// The largest deviation of one coordinate of the decoded mean over `sites` sites from the exact weighted mean of the
/// clipped updates: each site's rounding moves a coordinate by less than one unit, and the shared shrink factor cancels.
#[must_use]
pub fn error_bound(program: &WeightedMean, sites: usize, total_weight: u64) -> f64 {
    let unit = program.clip() / (program.kappa() as f64 * program.shrink());
    sites as f64 * unit / total_weight as f64
}
