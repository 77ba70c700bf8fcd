//! Section 3, steps 1 and 2: seeds, their commitments, and c = x + Σ_T m_T.

use crate::field::{self, Ext, Fp};
use crate::params::Committee;
use crate::prove::BLOCK;
use crate::simd::products::TOGETHER;
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
        self.mask("values", ctx, input, &[]).masked
    }

    /// c_w = W + Σ_T m_T over the `witness` streams.
    #[must_use]
    pub fn mask_witness(&self, ctx: &B256, witness: &[Fp]) -> Vec<Fp> {
        self.mask("witness", ctx, witness, &[]).masked
    }

    /// Masks a vector with the streams of one label and computes, in the same pass over the streams, its shares
    /// X(z) = c - Σ_T f_T(z) m_T = x + Σ_T (1 - f_T(z)) m_T, where `factors` lists 1 - f_T(z) for all T, point by point.
    pub(crate) fn mask(&self, label: &str, ctx: &B256, plain: &[Fp], factors: &[Vec<Fp>]) -> Masked {
        let mut masked = plain.to_vec();
        let mut shares: Vec<Zeroizing<Vec<Fp>>> = factors.iter().map(|_| Zeroizing::new(plain.to_vec())).collect();
        let mut streams = Streams::open(self.0.iter(), label, ctx);
        for start in (0..plain.len()).step_by(BLOCK) {
            let range = start..plain.len().min(start + BLOCK);
            streams.next_block(range.len(), |seeds, masks| {
                field::add_words(&mut masked[range.clone()], masks);
                for (share, factors) in shares.iter_mut().zip(factors) {
                    field::add_products_of_words(&mut share[range.clone()], &factors[seeds.clone()], masks);
                }
            });
        }
        Masked { masked, shares }
    }

    /// 1 - f_T(z) for all T.
    pub(crate) fn share_factors(committee: &Committee, z: usize) -> Vec<Fp> {
        (0..committee.excluded().len()).map(|number| Fp::ONE - committee.f(number, z)).collect()
    }

    /// M(z) = Σ_T Σ_e z^e f_T(z) μ_T,e: what hides the proof's other degrees of freedom.
    pub(crate) fn zero(&self, committee: &Committee, z: usize, ctx: &B256) -> Ext {
        self.0.iter().enumerate().fold(Ext::ZERO, |sum, (number, seed)| sum + zero_of(committee, number, z, ctx, seed))
    }
}

/// A masked vector and the shares of it that go with it.
pub(crate) struct Masked {
    /// c.
    pub(crate) masked: Vec<Fp>,
    /// X(z), in the order of the points asked for.
    pub(crate) shares: Vec<Zeroizing<Vec<Fp>>>,
}

/// f_T(z) Σ_e z^e μ_T,e of one seed.
fn zero_of(committee: &Committee, number: usize, z: usize, ctx: &B256, seed: &Seed) -> Ext {
    let (f, point) = (committee.f(number, z), Fp::reduce(z as u64));
    let mu = |e: usize| Stream::new(seed.expose(), &format!("zero{e}"), ctx.as_slice()).extension();
    (1..=committee.t()).fold(Ext::ZERO, |sum, e| sum + mu(e).scale(f * point.power(e as u64)))
}

/// The streams of one label under several seeds, read block by block, [`TOGETHER`] at once, so that their masks of one
/// block stay in the cache.
struct Streams {
    streams: Vec<Stream>,
    masks: Zeroizing<Vec<u64>>,
}

impl Streams {
    fn open<'a>(seeds: impl Iterator<Item = &'a Seed>, label: &str, ctx: &B256) -> Self {
        let streams = seeds.map(|seed| Stream::new(seed.expose(), label, ctx.as_slice())).collect();
        Self { streams, masks: Zeroizing::new(vec![0; TOGETHER * BLOCK]) }
    }

    /// Hands the next `length` (at most [`BLOCK`]) elements of all streams to `take`, some streams at a time: their
    /// numbers and their masks.
    fn next_block(&mut self, length: usize, mut take: impl FnMut(core::ops::Range<usize>, &[&[u64]])) {
        for (i, streams) in self.streams.chunks_mut(TOGETHER).enumerate() {
            let mut masks: [&[u64]; TOGETHER] = [&[]; TOGETHER];
            let buffers = self.masks.chunks_mut(BLOCK);
            for ((stream, buffer), mask) in streams.iter_mut().zip(buffers).zip(&mut masks) {
                let buffer = &mut buffer[..length];
                stream.fill_canonical(buffer);
                *mask = buffer;
            }
            take(i * TOGETHER..i * TOGETHER + streams.len(), &masks[..streams.len()]);
        }
    }
}

/// A node's share of a masked vector: X(j) = c - Σ_T f_T(j) m_T, block by block, and that of the witness.
pub(crate) struct Shares {
    /// -f_T(j) for each stream.
    factors: Vec<Fp>,
    values: Streams,
    witness: Streams,
    zero: Ext,
}

impl Shares {
    /// Opens the streams of the seeds `(number, seed)` at node `j`, leaving out those with f_T(j) = 0.
    pub(crate) fn new<'a>(committee: &Committee, j: usize, ctx: &B256, seeds: impl Iterator<Item = (usize, &'a Seed)>) -> Self {
        let seeds: Vec<_> = seeds.filter(|(number, _)| committee.f(*number, j) != Fp::ZERO).collect();
        let open = |label: &str| Streams::open(seeds.iter().map(|(_, seed)| *seed), label, ctx);
        let zero = seeds.iter().fold(Ext::ZERO, |sum, (number, seed)| sum + zero_of(committee, *number, j, ctx, seed));
        let factors = seeds.iter().map(|(number, _)| committee.f(*number, j).negate()).collect();
        Self { factors, values: open("values"), witness: open("witness"), zero }
    }

    /// Turns the next block of c, at most [`BLOCK`] coordinates, into the block of X, in place.
    pub(crate) fn unmask_block(&mut self, block: &mut [Fp]) {
        unmask(&mut self.values, &self.factors, block);
    }

    /// The share W of the witness. To be asked for once.
    pub(crate) fn witness(&mut self, masked: &[Fp]) -> Vec<Fp> {
        let mut share = masked.to_vec();
        for block in share.chunks_mut(BLOCK) {
            unmask(&mut self.witness, &self.factors, block);
        }
        share
    }

    /// M(j).
    pub(crate) fn zero(&self) -> Ext {
        self.zero
    }
}

fn unmask(streams: &mut Streams, factors: &[Fp], block: &mut [Fp]) {
    let length = block.len();
    streams.next_block(length, |seeds, masks| field::add_products_of_words(block, &factors[seeds], masks));
}
