//! Section 2: scaled numbers become integers, each a neighbour at random, so that the mean is the number itself.
//!
//! Rounding makes a vector longer: its square norm grows by d/4 in the mean. 1 - e leaves room for that and for 9.5 standard
//! deviations more, so that a draw is over the bound with a chance below e^-40. Such a draw is discarded.

use crate::cores::Cores;
use crate::field::Fp;
use crate::prove::BLOCK;
use crate::secret::Secret;
use crate::simd::pages;
use crate::stream::Stream;
use core::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Draws of a rounding, at most, before the numbers are rounded toward zero, which makes no vector longer.
pub(super) const ATTEMPTS: u64 = 64;

/// An update, the factor that scales it, and the norm that its integers may have. The scaled update's norm is at most
/// `limit`, which is at most 2^25.
pub(super) struct Rounding<'a> {
    pub(super) cores: Cores,
    pub(super) update: &'a [f64],
    pub(super) factor: f64,
    pub(super) limit: u64,
}

impl Rounding<'_> {
    /// The first draw within the limit, drawn with the keys for attempts 0, 1 and so on.
    pub(super) fn integers(&self, mut key: impl FnMut(u64) -> Zeroizing<[u8; 32]>) -> Secret {
        let draws = (0..ATTEMPTS).map(|attempt| self.draw(&key(attempt)));
        draws.flatten().next().unwrap_or_else(|| self.toward_zero())
    }

    /// One draw, if its norm is within the limit.
    fn draw(&self, key: &[u8; 32]) -> Option<Secret> {
        let square_norm = AtomicU64::new(0);
        let mut vectors = pages::filled(self.cores, 1, self.update.len(), BLOCK, |_, range, blocks| {
            let mut random = Stream::new(key, "rounding", &[]);
            random.advance(range.start as u64);
            let blocks = self.update[range].chunks(BLOCK).zip(blocks.flatten());
            let squares: f64 = blocks.map(|(update, out)| draw_block(update, self.factor, &mut random, out)).sum();
            square_norm.fetch_add(squares as u64, Ordering::Relaxed);
        });
        let fits = square_norm.into_inner() <= self.limit.wrapping_mul(self.limit);
        fits.then(|| vectors.swap_remove(0))
    }

    /// The integers next to the scaled numbers on the side of zero.
    fn toward_zero(&self) -> Secret {
        let mut vectors = pages::filled(self.cores, 1, self.update.len(), BLOCK, |_, range, blocks| {
            for (update, out) in self.update[range].chunks(BLOCK).zip(blocks.flatten()) {
                out.iter_mut().zip(update).for_each(|(out, value)| *out = element(toward_zero(value * self.factor)));
            }
        });
        vectors.swap_remove(0)
    }
}

/// Scales and rounds a block with the next words of a stream, and returns the sum of the squares. It is exact, as is the sum over
/// all blocks, in whatever order: they are integers, and ‖x‖ <= limit + √d <= 2^25 + 2^16 keeps all of them below 2^53.
fn draw_block(update: &[f64], factor: f64, random: &mut Stream, out: &mut [Fp]) -> f64 {
    let mut words = Zeroizing::new([0; BLOCK]);
    let words = &mut words[..update.len()];
    random.fill_words(words);
    for ((out, value), word) in out.iter_mut().zip(update).zip(&mut *words) {
        let rounded = stochastically(value * factor, *word);
        *out = element(rounded);
        *word = rounded.to_bits();
    }
    sum_of_squares(words, |&word| f64::from_bits(word))
}

/// Sums that are kept apart, so that none waits for the one before.
const SUMS: usize = 8;

/// Σ v² over the values of a block.
pub(super) fn sum_of_squares<T>(block: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let square = |item| {
        let value = value(item);
        value * value
    };
    let (groups, rest) = block.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for group in groups {
        sums.iter_mut().zip(group).for_each(|(sum, item)| *sum += square(item));
    }
    sums.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
}

/// 1.5·2^52: a number of magnitude below 2^51 plus this is a number whose last bit counts ones, so that the sum is rounded to
/// the nearest integer, which its bits exceed those of this number by.
const ROUNDING: f64 = (3_u64 << 51) as f64;

/// The largest integer that is not above `value`, of magnitude below 2^26. It compiles to comparisons and masks, several
/// values at a time, without a branch.
#[inline]
fn floor(value: f64) -> f64 {
    let nearest = (value + ROUNDING) - ROUNDING;
    nearest - if nearest > value { 1.0 } else { 0.0 }
}

/// floor(v) + 1 with probability v - floor(v), to 2^-52, else floor(v).
#[inline]
fn stochastically(value: f64, random: u64) -> f64 {
    let floor = floor(value);
    let uniform = f64::from_bits(1_f64.to_bits() | random >> 12) - 1.0;
    floor + if uniform < value - floor { 1.0 } else { 0.0 }
}

/// The integer next to `value` on the side of zero.
#[inline]
fn toward_zero(value: f64) -> f64 {
    floor(value.abs()).copysign(value)
}

/// A small integer as an element.
#[inline]
fn element(integer: f64) -> Fp {
    Fp::from_i64((integer + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits()) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;

    fn square_norm(integers: &[Fp]) -> u64 {
        integers.iter().map(|value| value.signed().unsigned_abs().pow(2)).sum()
    }

    fn key(seed: u64, attempt: u64) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(crate::transcript::hash("test", &[&seed.to_le_bytes(), &attempt.to_le_bytes()]).0)
    }

    #[test]
    fn a_value_is_rounded_to_a_neighbour_whatever_the_randomness_is() {
        let (below, above) = (|v: f64| v.next_down(), |v: f64| v.next_up());
        for whole in [0.0, 1.0, 2.0, 1000.0, f64::from(1 << 25) - 1.0] {
            for value in [whole, -whole, above(whole), below(whole), above(-whole), below(-whole), whole + 0.5, -whole - 0.5] {
                let floor = value.floor();
                // The largest uniform number is 1 - 2^-52: only what is nearer to the next integer goes up with it.
                let down = if value - floor > 1.0 - f64::EPSILON { floor + 1.0 } else { floor };
                assert_eq!(stochastically(value, u64::MAX), down, "{value}");
                assert_eq!(stochastically(value, 0), if value > floor { floor + 1.0 } else { floor }, "{value}");
                assert_eq!(toward_zero(value), value.trunc(), "{value}");
                assert_eq!(element(value.trunc()).signed() as f64, value.trunc());
            }
        }
    }

    proptest! {
        /// With hardly any room for rounding, from a quarter of the draws to nearly all are over the limit.
        #[test]
        fn a_draw_over_the_limit_is_drawn_again_with_the_next_key(length in 2usize..60, seed: u64, threads in 1usize..3) {
            let update: Vec<f64> = (0..length).map(|i| if i % 2 == 0 { 0.5 } else { -1.5 }).collect();
            let cores = Cores::new(threads.try_into().unwrap());
            let limit = sum_of_squares(&update, |v| *v).sqrt().ceil() as u64;
            let (rounding, keys) = (Rounding { cores, update: &update, factor: 1.0, limit }, Cell::new(0));
            let integers = rounding.integers(|attempt| {
                assert_eq!(keys.replace(attempt + 1), attempt);
                key(seed, attempt)
            });
            prop_assert!(square_norm(&integers) <= limit * limit);
            // All before were over the limit, and this is the first that is not.
            let draws = |attempt: u64| {
                let mut words = vec![0; length];
                Stream::new(&key(seed, attempt), "rounding", &[]).fill_words(&mut words);
                let draws = update.iter().zip(words).map(|(&value, word)| element(stochastically(value, word)));
                draws.collect::<Vec<_>>()
            };
            let first = (0..ATTEMPTS).find(|&attempt| square_norm(&draws(attempt)) <= limit * limit);
            prop_assert_eq!(keys.get(), first.map_or(ATTEMPTS, |first| first + 1));
            prop_assert_eq!(&*integers, first.map_or_else(|| rounding.toward_zero().to_vec(), draws));
        }

        #[test]
        fn numbers_that_never_fit_are_rounded_toward_zero(length in 3_000usize..8_000, threads in 1usize..3, seed: u64) {
            // As long as the limit allows, so that rounding has no room: a draw is over it by 20 standard deviations.
            // Beyond 2^53 neighbours would be equal, and might all lie close to integers.
            let phase = (seed % 1_000_000) as f64;
            let direction: Vec<f64> = (0..length).map(|i| (i as f64 + phase).sin()).collect();
            let norm = sum_of_squares(&direction, |v| *v).sqrt();
            let (cores, limit) = (Cores::new(threads.try_into().unwrap()), 40);
            let (factor, attempts) = (limit as f64 / norm, Cell::new(0));
            let rounding = Rounding { cores, update: &direction, factor, limit };
            let integers = rounding.integers(|attempt| {
                attempts.set(attempt + 1);
                key(seed, attempt)
            });
            prop_assert_eq!(attempts.get(), ATTEMPTS);
            prop_assert!(square_norm(&integers) <= limit * limit);
            for (integer, value) in integers.iter().zip(&direction) {
                prop_assert_eq!(integer.signed() as f64, (value * factor).trunc());
            }
        }
    }

    #[test]
    fn coordinates_are_rounded_independently() {
        let update = vec![0.3; 100_000];
        let rounding = Rounding { cores: Cores::ONE, update: &update, factor: 1.0, limit: 1 << 17 };
        let ups: Vec<f64> = rounding.integers(|attempt| key(1, attempt)).iter().map(|v| v.signed() as f64).collect();
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
