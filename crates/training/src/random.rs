//! Every random number of this crate comes from here, so that a seed fixes a run.
//!
//! A stream is keyed by (purpose, seed, site, round). No stream depends on how many numbers another one gave, hence a
//! site's training does not depend on the order in which sites or threads run.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for. The numbers are part of the key: changing one changes every run.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The weights a model starts from.
    Initial = 1,
    /// The order of a site's samples during one round.
    Local = 2,
    /// Which patient goes to which site.
    Partition = 3,
}

pub(crate) struct Stream(ChaCha12Rng);

impl Stream {
    pub(crate) fn new(purpose: Purpose, seed: u64, site: u64, round: u64) -> Self {
        let mut key = [0; 32];
        let words = [seed, site, round, purpose as u64];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha12Rng::from_seed(key))
    }

    /// Uniform in [0, 1), 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..bound; the bias, bound / 2^64, is of no account here. `bound` is not zero.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Fisher-Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Standard normal (Box-Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// The logarithm of a Gamma(alpha, 1) variate (Marsaglia and Tsang, 2000). The logarithm, because for small alpha
    /// the variate itself is often below the smallest double.
    fn log_gamma(&mut self, alpha: f64) -> f64 {
        if alpha < 1.0 {
            let boost = (1.0 - self.uniform()).ln() / alpha;
            return self.log_gamma(alpha + 1.0) + boost;
        }
        let d = alpha - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.uniform()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d.ln() + v.ln();
            }
        }
    }

    /// `parts` shares that sum to 1, from the symmetric Dirichlet distribution.
    pub(crate) fn dirichlet(&mut self, alpha: f64, parts: usize) -> Vec<f64> {
        let logs: Vec<f64> = (0..parts).map(|_| self.log_gamma(alpha)).collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let total: f64 = raw.iter().sum();
        raw.iter().map(|share| share / total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Stream};

    #[test]
    fn dirichlet_has_the_mean_and_variance_of_the_distribution() {
        let mut stream = Stream::new(Purpose::Partition, 5, 0, 0);
        for alpha in [0.1, 0.5, 1.0, 20.0] {
            let draws: Vec<Vec<f64>> = (0..4000).map(|_| stream.dirichlet(alpha, 4)).collect();
            assert!(draws.iter().all(|d| (d.iter().sum::<f64>() - 1.0).abs() < 1e-12));
            let variance = draws.iter().map(|d| (d[0] - 0.25).powi(2)).sum::<f64>() / 4000.0;
            let expected = 0.25 * 0.75 / (4.0 * alpha + 1.0);
            assert!((variance / expected - 1.0).abs() < 0.1, "alpha {alpha}: {variance}, not {expected}");
        }
    }

    #[test]
    fn streams_differ_in_every_part_of_their_key() {
        let first = |p, a, b, c| Stream::new(p, a, b, c).uniform();
        let all = [
            first(Purpose::Local, 1, 2, 3),
            first(Purpose::Initial, 1, 2, 3),
            first(Purpose::Local, 2, 2, 3),
            first(Purpose::Local, 1, 3, 2),
            first(Purpose::Local, 1, 2, 4),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b));
        }
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(Purpose::Local, 1, 1, 1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
