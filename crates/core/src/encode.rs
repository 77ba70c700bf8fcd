//! Section 2: from a real update to small integers, and from the sum of integers back to a mean.
//!
//! `clip -> scale by kappa·w·(1-e)/C -> round stochastically`, so that ‖x‖ <= kappa·w always holds and the rounding is
//! unbiased. This is the last place where floating point is used before the aggregate is decoded.

use crate::cores::Cores;
use crate::error::EncodeError;
use crate::field::Fp;
use crate::program::{OneHot, Program, SMALLEST_SHRINK, WeightedMean};
use crate::prove::BLOCK;
use crate::secret::Secret;
use crate::simd::pages;
use crate::stream::Stream;
use core::ops::Range;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// An input of the protocol: integers and a weight. Wiped from memory on drop; `Debug` shows the length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    values: Secret,
    weight: u64,
}

impl Encoded {
    /// Any field elements with any claimed weight. The proof will not verify unless they satisfy the program; tests
    /// play cheating sites with it.
    #[must_use]
    pub fn unchecked(values: Vec<Fp>, weight: u64) -> Self {
        Self { values: Secret::new(values), weight }
    }

    /// The encoded coordinates.
    #[must_use]
    pub fn values(&self) -> &[Fp] {
        &self.values
    }

    /// The coordinates, to be used up.
    pub(crate) fn secret(&mut self) -> &mut Secret {
        &mut self.values
    }

    /// The weight; 1 for programs without weights.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weight
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
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
    encode_on(Cores::ONE, program, update, weight, rng)
}

/// [`encode`] on several cores.
///
/// # Errors
/// As [`encode`].
pub fn encode_on(
    cores: Cores,
    program: &WeightedMean,
    update: &[f64],
    weight: u64,
    rng: &mut dyn CryptoRng,
) -> Result<Encoded, EncodeError> {
    if update.len() != program.dimension() {
        return Err(EncodeError::Length { expected: program.dimension(), found: update.len() });
    }
    let norm = norm(cores, update).map_err(EncodeError::NotFinite)?;
    if !(1..=program.max_weight()).contains(&weight) {
        return Err(EncodeError::Weight { max: program.max_weight(), found: weight });
    }
    if program.shrink() < SMALLEST_SHRINK {
        return Err(EncodeError::Constraint("kappa is too small for this dimension: lower b or raise s"));
    }
    let factor = clip_factor(norm, program.clip()) * program.kappa() as f64 * weight as f64 * program.shrink() / program.clip();
    if !factor.is_finite() {
        return Err(EncodeError::Constraint("the clip radius is too small to divide by"));
    }
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(key.as_mut());
    let mut vectors = pages::filled(cores, 1, update.len(), BLOCK, |_, range, blocks| {
        let mut random = Stream::new(&key, "rounding", &[]);
        random.advance(range.start as u64);
        let outs = blocks.flatten();
        update[range].chunks(BLOCK).zip(outs).for_each(|(update, out)| round(update, factor, &mut random, out));
    });
    Ok(Encoded { values: vectors.swap_remove(0), weight })
}

/// Magnitudes below this are taken for numbers; their squares add up to a number whatever the dimension is.
const LARGEST: f64 = 1e100;
/// Sums that are kept apart, so that none waits for the one before.
const SUMS: usize = 8;

/// ‖u‖, or the place of the first value that is infinite, not a number, or as good as that. It is the same on any number of
/// cores: each block has its own sum.
fn norm(cores: Cores, update: &[f64]) -> Result<f64, usize> {
    let blocks = |range: Range<usize>| Zeroizing::new(update[range].chunks(BLOCK).map(square_norm).collect::<Vec<_>>());
    let sums = cores.each(cores.ranges(update.len(), BLOCK), blocks);
    let sum: f64 = sums.iter().flat_map(|sums| sums.iter()).sum();
    if sum.is_nan() { Err(update.iter().position(|v| !is_number(v)).unwrap_or_default()) } else { Ok(sum.sqrt()) }
}

/// Infinities and what is not a number compare as false.
fn is_number(value: &f64) -> bool {
    value.abs() < LARGEST
}

/// ‖u‖² of a block; not a number when not all of it is numbers.
fn square_norm(block: &[f64]) -> f64 {
    let (groups, rest) = block.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for group in groups {
        sums.iter_mut().zip(group).for_each(|(sum, v)| *sum += v * v);
    }
    let sum = sums.iter().sum::<f64>() + rest.iter().map(|v| v * v).sum::<f64>();
    if block.iter().fold(true, |all, v| all & is_number(v)) { sum } else { f64::NAN }
}

/// min(1, C/‖u‖) for an update of that norm, and 1 for the zero vector.
fn clip_factor(norm: f64, clip: f64) -> f64 {
    if norm > 0.0 { (clip / norm).min(1.0) } else { 1.0 }
}

/// Scales and rounds a block with the next words of a stream.
fn round(update: &[f64], factor: f64, random: &mut Stream, out: &mut [Fp]) {
    let mut words = Zeroizing::new([0; BLOCK]);
    let words = &mut words[..update.len()];
    random.fill_words(words);
    for ((out, value), &mut word) in out.iter_mut().zip(update).zip(words) {
        *out = round_stochastically(value * factor, word);
    }
}

/// 1.5·2^52: a number of magnitude below 2^51 plus this is a number whose last bit counts ones, so that the sum is rounded to
/// the nearest integer, which its bits exceed those of this number by.
const ROUNDING: f64 = (3_u64 << 51) as f64;

/// floor(v) + 1 with probability v - floor(v), to 2^-52, else floor(v). |v| < 2^26 here. It compiles to
/// comparisons and masks, several values at a time, without a branch.
#[inline]
fn round_stochastically(value: f64, random: u64) -> Fp {
    let nearest = (value + ROUNDING) - ROUNDING;
    let floor = nearest - if nearest > value { 1.0 } else { 0.0 };
    let uniform = f64::from_bits(1_f64.to_bits() | random >> 12) - 1.0;
    let rounded = floor + if uniform < value - floor { 1.0 } else { 0.0 };
    Fp::from_i64((rounded + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits()) as i64)
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
    Ok(Encoded { values: Secret::new(values), weight: 1 })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_rounded_to_a_neighbour_whatever_the_randomness_is() {
        let (below, above) = (|v: f64| v.next_down(), |v: f64| v.next_up());
        for whole in [0.0, 1.0, 2.0, 1000.0, f64::from(1 << 25) - 1.0] {
            for value in [whole, -whole, above(whole), below(whole), above(-whole), below(-whole), whole + 0.5, -whole - 0.5] {
                let floor = value.floor();
                let (up, down) = (round_stochastically(value, 0).signed(), round_stochastically(value, u64::MAX).signed());
                // The largest uniform number is 1 - 2^-52: only what is nearer to the next integer goes up with it.
                assert_eq!(down as f64, if value - floor > 1.0 - f64::EPSILON { floor + 1.0 } else { floor }, "{value}");
                assert_eq!(up as f64, if value > floor { floor + 1.0 } else { floor }, "{value}");
            }
        }
    }

    #[test]
    fn coordinates_are_rounded_independently() {
        let program = WeightedMean::new(100_000, 25, 8, 128, 1.0).unwrap();
        let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
        let unit = 1.0 / (program.kappa() as f64 * program.shrink());
        let encoded = encode(&program, &vec![0.3 * unit; 100_000], 1, &mut rng).unwrap();
        let ups: Vec<f64> = encoded.values().iter().map(|v| v.signed() as f64).collect();
        let mean = ups.iter().sum::<f64>() / 1e5;
        assert!((mean - 0.3).abs() < 0.01, "{mean}");
        // Of pairs at these distances, 0.09 go up together.
        for distance in [1, 2, 8, 512, 12_800] {
            let pairs = ups.iter().zip(&ups[distance..]);
            let both = pairs.map(|(a, b)| a * b).sum::<f64>() / (ups.len() - distance) as f64;
            assert!((both - 0.09).abs() < 0.01, "{both} at {distance}");
        }
    }
}
