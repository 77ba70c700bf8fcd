//! Section 3, steps 1 and 2: seeds, their commitments, and c = x + Σ_T m_T.

use crate::field::{self, Ext, Fp};
use crate::params::Committee;
use crate::stream::Stream;
use crate::transcript::{hash, seed_commitment};
use alloy_primitives::B256;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// One seed k_T. Wiped on drop, compared in constant time, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// The C(n,t) seeds of one contribution, number i for T = `excluded()[i]`.
#[derive(Debug, Clone)]
pub struct Seeds(Vec<Seed>);

impl Seeds {
    /// Draws fresh seeds, hedged against a bad generator: H("hedge", random, device secret, ctx, x, i).
    pub fn draw(committee: &Committee, ctx: &B256, input: &[Fp], device_secret: &[u8; 32], rng: &mut dyn CryptoRng) -> Self {
        let input = Zeroizing::new(field::to_bytes(input));
        let draw = |i: usize| {
            let mut random = Zeroizing::new([0; 32]);
            rng.fill_bytes(random.as_mut());
            Seed(hash("hedge", &[random.as_ref(), device_secret, ctx.as_slice(), &input, &(i as u64).to_le_bytes()]).0)
        };
        Self((0..committee.excluded().len()).map(draw).collect())
    }

    /// Given seeds, in the order of T.
    #[must_use]
    pub fn from_vec(seeds: Vec<Seed>) -> Self {
        Self(seeds)
    }

    /// The seeds in the order of T.
    #[must_use]
    pub fn as_slice(&self) -> &[Seed] {
        &self.0
    }

    /// com_i = H("seed", ctx, i, k_i) for all i.
    #[must_use]
    pub fn commitments(&self, ctx: &B256) -> Vec<B256> {
        self.0.iter().enumerate().map(|(i, seed)| seed_commitment(ctx, i as u64, seed.expose())).collect()
    }

    /// c = x + Σ_T m_T over the `values` streams.
    #[must_use]
    pub fn mask_values(&self, ctx: &B256, input: &[Fp]) -> Vec<Fp> {
        self.mask("values", ctx, input)
    }

    /// c_w = W + Σ_T m_T over the `witness` streams.
    #[must_use]
    pub fn mask_witness(&self, ctx: &B256, witness: &[Fp]) -> Vec<Fp> {
        self.mask("witness", ctx, witness)
    }

    fn mask(&self, label: &str, ctx: &B256, plain: &[Fp]) -> Vec<Fp> {
        let mut masked = plain.to_vec();
        let mut mask = Zeroizing::new(vec![Fp::ZERO; crate::prove::BLOCK.min(plain.len())]);
        let mut scratch = Zeroizing::new(Vec::new());
        for seed in &self.0 {
            let mut stream = Stream::new(seed.expose(), label, ctx.as_slice());
            for block in masked.chunks_mut(crate::prove::BLOCK) {
                let mask = &mut mask[..block.len()];
                stream.fill(mask, &mut scratch);
                for (value, &mask) in block.iter_mut().zip(mask.iter()) {
                    *value += mask;
                }
            }
        }
        masked
    }
}

/// The streams of one seed at one evaluation point z: f_T(z), the `values` stream, and what is needed whole.
pub(crate) struct SeedStreams {
    f: Fp,
    values: Stream,
    witness: Zeroizing<Vec<Fp>>,
    zero: Ext,
}

/// The share of a masked vector at one evaluation point: X = c - Σ_T f_T(z) m_T, block by block.
pub(crate) struct Shares {
    streams: Vec<SeedStreams>,
    mask: Zeroizing<Vec<Fp>>,
    scratch: Zeroizing<Vec<u8>>,
}

impl Shares {
    /// Opens the streams of the seeds `(number, seed)` at point `z`, leaving out those with f_T(z) = 0.
    pub(crate) fn new<'a>(
        committee: &Committee,
        z: usize,
        ctx: &B256,
        witness_len: usize,
        seeds: impl Iterator<Item = (usize, &'a Seed)>,
    ) -> Self {
        let mut streams = Vec::new();
        for (number, seed) in seeds {
            let f = committee.f(number, z);
            if f == Fp::ZERO {
                continue;
            }
            let open = |label: &str| Stream::new(seed.expose(), label, ctx.as_slice());
            let point = Fp::reduce(z as u64);
            let zero = (1..=committee.t())
                .fold(Ext::ZERO, |sum, e| sum + open(&format!("zero{e}")).extension().scale(f * point.power(e as u64)));
            let witness = Zeroizing::new(open("witness").elements(witness_len));
            streams.push(SeedStreams { f, values: open("values"), witness, zero });
        }
        Self { streams, mask: Zeroizing::new(Vec::new()), scratch: Zeroizing::new(Vec::new()) }
    }

    /// Turns the next block of c into the block of X, in place.
    pub(crate) fn unmask_block(&mut self, block: &mut [Fp]) {
        self.mask.resize(block.len(), Fp::ZERO);
        for seed in &mut self.streams {
            seed.values.fill(&mut self.mask, &mut self.scratch);
            for (value, &mask) in block.iter_mut().zip(self.mask.iter()) {
                *value -= seed.f * mask;
            }
        }
    }

    /// The share W of the witness.
    pub(crate) fn witness(&self, masked: &[Fp]) -> Vec<Fp> {
        let mut share = masked.to_vec();
        for seed in &self.streams {
            for (value, &mask) in share.iter_mut().zip(seed.witness.iter()) {
                *value -= seed.f * mask;
            }
        }
        share
    }

    /// M(z) = Σ_T Σ_e z^e f_T(z) μ_T,e: what hides the proof's other degrees of freedom.
    pub(crate) fn zero(&self) -> Ext {
        self.streams.iter().fold(Ext::ZERO, |sum, seed| sum + seed.zero)
    }
}
