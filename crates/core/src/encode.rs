//! Section 2: from a real update to small integers, and from the sum of integers back to a mean.
//!
//! `clip -> scale by kappa·w·(1-e)/C -> round stochastically`, so that ‖x‖ <= kappa·w always holds and the rounding is
//! unbiased. This is the last place where floating point is used before the aggregate is decoded.

mod rounding;

use crate::cores::Cores;
use crate::error::EncodeError;
use crate::field::Fp;
use crate::program::{OneHot, Program, SMALLEST_SHRINK, WeightedMean};
use crate::prove::BLOCK;
use crate::secret::Secret;
use crate::transcript::VectorHash;
use alloy_primitives::B256;
use core::ops::Range;
use rand_core::CryptoRng;
use rounding::{Rounding, sum_of_squares};
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

/// Clips, scales and rounds an update (any real vector of the study's dimension) with weight `weight` in 1..=2^b, for the
/// contribution with context `ctx`. The rounding is hedged against a bad generator, as seeds are:
/// H("rounding", random, device secret, ctx, u, w, attempt).
///
/// # Errors
/// [`EncodeError`] for another length, values that are not finite, or a weight out of range.
pub fn encode(
    program: &WeightedMean,
    ctx: &B256,
    update: &[f64],
    weight: u64,
    device_secret: &[u8; 32],
    rng: &mut dyn CryptoRng,
) -> Result<Encoded, EncodeError> {
    encode_on(Cores::ONE, program, ctx, update, weight, device_secret, rng)
}

/// [`encode`] on several cores.
///
/// # Errors
/// As [`encode`].
pub fn encode_on(
    cores: Cores,
    program: &WeightedMean,
    ctx: &B256,
    update: &[f64],
    weight: u64,
    device_secret: &[u8; 32],
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
    // Below 2^26, as kappa·2^b is.
    let limit = program.kappa().wrapping_mul(weight);
    let factor = clip_factor(norm, program.clip()) * limit as f64 * program.shrink() / program.clip();
    let hedge = VectorHash::new(cores, "rounding", [&[32; 3], &[8; 2]], update);
    let key = |attempt: u64| {
        let mut random = Zeroizing::new([0; 32]);
        rng.fill_bytes(random.as_mut());
        let before = [random.as_ref(), device_secret, ctx.as_slice()];
        Zeroizing::new(hedge.of(&before, &[&weight.to_le_bytes(), &attempt.to_le_bytes()]).0)
    };
    Ok(Encoded { values: Rounding { cores, update, factor, limit }.integers(key), weight })
}

/// Magnitudes below this are taken for numbers; their squares add up to a number whatever the dimension is.
const LARGEST: f64 = 1e100;
/// Blocks whose sums are added up before they are added to others: 2^16 coordinates.
const BLOCKS: usize = (1 << 16) / BLOCK;

/// ‖u‖, or the place of the first value that is infinite, not a number, or as good as that. It is the same on any number of
/// cores: each block has its own sum.
///
/// Its relative error is below 2^-37, and so below the 1/(16·kappa) for which 1 - e leaves room. Of at most 2^32 squares, each is
/// in no more than 80 additions within its block, 2^7 of blocks and 2^16 of their sums; a rounding is off by 2^-53 at most, and
/// the root halves what they add up to. Squares that underflow are those of coordinates below 1e-150, which together are
/// nothing beside a clip radius of 1e-100 or more.
fn norm(cores: Cores, update: &[f64]) -> Result<f64, usize> {
    let blocks = |range: Range<usize>| Zeroizing::new(update[range].chunks(BLOCK).map(square_norm).collect::<Vec<_>>());
    let parts = cores.each(cores.ranges(update.len(), BLOCK), blocks);
    let mut sums = Zeroizing::new(Vec::with_capacity(update.len().div_ceil(BLOCK)));
    parts.iter().for_each(|part| sums.extend_from_slice(part));
    let sum: f64 = sums.chunks(BLOCKS).map(|sums| sums.iter().sum::<f64>()).sum();
    if sum.is_nan() { Err(update.iter().position(|v| !is_number(v)).unwrap_or_default()) } else { Ok(sum.sqrt()) }
}

/// Infinities and what is not a number compare as false.
fn is_number(value: &f64) -> bool {
    value.abs() < LARGEST
}

/// ‖u‖² of a block; not a number when not all of it is numbers.
fn square_norm(block: &[f64]) -> f64 {
    let sum = sum_of_squares(block, |value| *value);
    if block.iter().fold(true, |all, v| all & is_number(v)) { sum } else { f64::NAN }
}

/// min(1, C/‖u‖) for an update of that norm: for the zero vector C/0 is infinite, and this is 1.
fn clip_factor(norm: f64, clip: f64) -> f64 {
    (clip / norm).min(1.0)
}

/// A ballot for choice number `choice`.
///
/// # Errors
/// [`EncodeError::Choice`].
pub fn encode_choice(program: &OneHot, choice: usize) -> Result<Encoded, EncodeError> {
    if choice >= program.dimension() {
        return Err(EncodeError::Choice { choices: program.dimension(), choice });
    }
    // Every place is written, whichever the choice is.
    let values = (0..program.dimension()).map(|place| Fp::reduce(u64::from(place == choice))).collect();
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

    /// One large coordinate before many whose squares are a little less than half of what its own is known to: added one by one
    /// to a single sum, all of them would be lost.
    #[test]
    fn the_norm_is_as_exact_as_its_bound_says() {
        let (one, small) = (f64::from(1 << 26), 0.7);
        for d in [1, 511, 4_097, 65_536, 1 << 22] {
            let update: Vec<f64> = core::iter::once(one).chain(core::iter::repeat_n(small, d - 1)).collect();
            // The exact sum of the small squares, in units of 2^-106, and what it adds to the large one.
            let rest = u128::from((small * 2f64.powi(53)) as u64).pow(2) * (d as u128 - 1);
            let rest = rest as f64 / 2f64.powi(106 + 52);
            let got = norm(Cores::ONE, &update).unwrap();
            let relative = (got * got / 2f64.powi(52) - 1.0) - rest;
            assert!(relative.abs() < 2f64.powi(-43), "{relative:e} at {d}");
        }
    }

    #[test]
    fn updates_are_clipped_to_the_radius_and_the_zero_vector_is_left_as_it_is() {
        for clip in [1e-100, 1.0, 1e100] {
            assert_eq!(clip_factor(0.0, clip), 1.0);
            assert_eq!(clip_factor(clip, clip), 1.0);
            assert_eq!(clip_factor(clip / 2.0, clip), 1.0);
            assert_eq!(clip_factor(clip * 2.0, clip), 0.5);
        }
        assert_eq!(clip_factor(1e105, 1e-100), 1e-205);
    }
}
