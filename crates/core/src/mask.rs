//! Section 3, steps 1 and 2: seeds, their commitments, and c = x + Σ_T m_T.

use crate::cores::{Cores, locked, next_of_all, split_all};
use crate::field::{self, Ext, Fp};
use crate::params::Committee;
use crate::prove::BLOCK;
use crate::secret::Secret;
use crate::simd::{pages, products::TOGETHER};
use crate::stream::Stream;
use crate::transcript::{VectorHash, seed_commitment};
use alloy_primitives::B256;
use core::ops::Range;
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::sync::Mutex;
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
        Self::draw_on(Cores::ONE, committee, ctx, input, device_secret, rng)
    }

    /// [`Self::draw`] on several cores.
    pub fn draw_on(
        cores: Cores,
        committee: &Committee,
        ctx: &B256,
        input: &[Fp],
        device_secret: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let hedge = VectorHash::new(cores, "hedge", [&[32; 3], &[8]], input);
        let draw = |i: u64| {
            let mut random = Zeroizing::new([0; 32]);
            rng.fill_bytes(random.as_mut());
            Seed(hedge.of(&[random.as_ref(), device_secret, ctx.as_slice()], &[&i.to_le_bytes()]).0)
        };
        Self((0..committee.excluded().len() as u64).map(draw).collect())
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
        self.mask(Cores::ONE, "values", ctx, input, &[]).masked
    }

    /// c_w = W + Σ_T m_T over the `witness` streams.
    #[must_use]
    pub fn mask_witness(&self, ctx: &B256, witness: &[Fp]) -> Vec<Fp> {
        self.mask(Cores::ONE, "witness", ctx, witness, &[]).masked
    }

    /// Masks a vector with the streams of one label and computes, in the same pass over the streams, its shares
    /// X(z) = c - Σ_T f_T(z) m_T = x + Σ_T (1 - f_T(z)) m_T, where `factors` lists 1 - f_T(z) for all T, point by point.
    ///
    /// Each core takes the next part of the coordinates. Where a stream skips a word, all after it move by one: parts that other
    /// cores were at are done again, and those that follow start right.
    pub(crate) fn mask(&self, cores: Cores, label: &str, ctx: &B256, plain: &[Fp], factors: &[Vec<Fp>]) -> Masked {
        let ranges = cores.ranges(plain.len(), BLOCK);
        let reads = Mutex::new(Reads::new(&ranges, self.0.len()));
        let masking = Masking { seeds: self, label, ctx, plain, factors, reads };
        let mut vectors = pages::filled(cores, 1 + factors.len(), plain.len(), BLOCK, |part, range, blocks| {
            masking.part(part, range, blocks);
        });
        loop {
            let wrong = locked(&masking.reads).wrong();
            if wrong.is_empty() {
                let shares = vectors.split_off(1);
                return Masked { masked: vectors[0].reveal(), shares };
            }
            let parts = split_all(vectors.iter_mut().map(|vector| &mut **vector), &ranges);
            let parts = ranges.iter().zip(parts).enumerate().filter(|(part, _)| wrong.contains(part)).collect();
            cores.each(parts, |(part, (range, mut rest)): (usize, (&Range<usize>, Vec<_>))| {
                masking.part(part, range.clone(), core::iter::from_fn(|| next_of_all(&mut rest, BLOCK)));
            });
        }
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
    pub(crate) shares: Vec<Secret>,
}

/// What a vector is masked with, part by part.
struct Masking<'a> {
    seeds: &'a Seeds,
    label: &'a str,
    ctx: &'a B256,
    plain: &'a [Fp],
    factors: &'a [Vec<Fp>],
    reads: Mutex<Reads>,
}

impl Masking<'_> {
    /// Masks a part: of each block the first vector becomes c, the others the shares.
    fn part<'b>(&self, number: usize, range: Range<usize>, blocks: impl Iterator<Item = Vec<&'b mut [Fp]>>) {
        let starts = locked(&self.reads).starts(number);
        let mut streams = Streams::open(self.seeds.0.iter(), self.label, self.ctx);
        streams.advance(&starts);
        for (plain, mut block) in self.plain[range].chunks(BLOCK).zip(blocks) {
            block.iter_mut().for_each(|vector| vector.copy_from_slice(plain));
            let Some((masked, shares)) = block.split_first_mut() else { continue };
            streams.next_block(plain.len(), |seeds, masks| {
                field::add_words(masked, masks);
                for (share, factors) in shares.iter_mut().zip(self.factors) {
                    field::add_products_of_words(share, &factors[seeds.clone()], masks);
                }
            });
        }
        locked(&self.reads).note(number, starts, &streams.positions());
    }
}

/// Which words of each stream the parts of a vector have read.
struct Reads {
    /// The parts' first coordinates, and the number of all.
    bounds: Vec<u64>,
    streams: usize,
    /// The first word that a part has read of each stream.
    starts: Vec<Option<Vec<u64>>>,
    /// How many words a part has skipped of each stream, if any: one word in 2^32 is.
    skipped: BTreeMap<usize, Vec<u64>>,
}

impl Reads {
    fn new(ranges: &[Range<usize>], streams: usize) -> Self {
        let ends = ranges.iter().map(|range| range.end as u64);
        let (bounds, starts) = (core::iter::once(0).chain(ends).collect(), vec![None; ranges.len()]);
        Self { bounds, streams, starts, skipped: BTreeMap::new() }
    }

    /// Where part `i` has to start in each stream, if no part before it that has not been read yet skips a word.
    fn starts(&self, i: usize) -> Vec<u64> {
        let mut starts = vec![self.bounds[i]; self.streams];
        for skipped in self.skipped.range(..i).map(|(_, skipped)| skipped) {
            starts.iter_mut().zip(skipped).for_each(|(start, skipped)| *start += skipped);
        }
        starts
    }

    fn note(&mut self, i: usize, starts: Vec<u64>, ends: &[u64]) {
        let length = self.bounds[i + 1] - self.bounds[i];
        let skipped: Vec<u64> = ends.iter().zip(&starts).map(|(end, start)| end - start - length).collect();
        self.skipped.remove(&i);
        if skipped.iter().any(|&skipped| skipped > 0) {
            self.skipped.insert(i, skipped);
        }
        self.starts[i] = Some(starts);
    }

    /// The parts that have not been read, or from a wrong word on. The first of them starts right next time.
    fn wrong(&self) -> Vec<usize> {
        let right = |i: &usize| self.starts[*i].as_ref().is_some_and(|starts| *starts == self.starts(*i));
        (0..self.starts.len()).filter(|i| !right(i)).collect()
    }
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

    /// Leaves out the first words, as many of each stream as `words` says.
    fn advance(&mut self, words: &[u64]) {
        self.streams.iter_mut().zip(words).for_each(|(stream, &words)| stream.advance(words));
    }

    /// How many words of each stream have been read or left out.
    fn positions(&self) -> Vec<u64> {
        self.streams.iter().map(Stream::words_read).collect()
    }

    /// Hands the next `length` (at most [`BLOCK`]) elements of all streams to `take`, some streams at a time: their
    /// numbers and their masks.
    fn next_block(&mut self, length: usize, mut take: impl FnMut(Range<usize>, &[&[u64]])) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Streams that skip far more often than one word in 2^32, as a list of what is skipped, read by cores in step.
        #[test]
        fn parts_are_read_until_each_starts_where_the_one_before_ends(
            skips in proptest::collection::vec(proptest::collection::btree_set(0u64..400, 0..60), 1..4),
            lengths in proptest::collection::vec(1usize..50, 1..9), cores in 1usize..5,
        ) {
            let end = |skips: &std::collections::BTreeSet<u64>, start: u64, length: usize| {
                (start..).filter(|word| !skips.contains(word)).nth(length - 1).unwrap() + 1
            };
            let starts = |i: usize| lengths[..i].iter().sum::<usize>();
            let ranges: Vec<_> = (0..lengths.len()).map(|i| starts(i)..starts(i + 1)).collect();
            let mut reads = Reads::new(&ranges, skips.len());
            let mut times = 0;
            while let wrong @ [_, ..] = reads.wrong().as_slice() {
                for at_once in wrong.chunks(cores) {
                    let starts: Vec<_> = at_once.iter().map(|&i| reads.starts(i)).collect();
                    for (&i, starts) in at_once.iter().zip(starts) {
                        let ends: Vec<u64> = starts.iter().zip(&skips).map(|(&start, skips)| end(skips, start, lengths[i])).collect();
                        reads.note(i, starts, &ends);
                    }
                }
                times += 1;
                prop_assert!(times <= lengths.len());
            }
            let mut at = vec![0; skips.len()];
            for (i, &length) in lengths.iter().enumerate() {
                prop_assert_eq!(&reads.starts(i), &at);
                at.iter_mut().zip(&skips).for_each(|(at, skips)| *at = end(skips, *at, length));
            }
            prop_assert!(cores > 1 || times == 1);
        }
    }

    /// The seed of `vectors/stream-rejection.json`, whose stream skips a word before element 347,831.
    #[test]
    fn several_cores_mask_as_one_also_past_a_skipped_word() {
        let mut rejecting = [0; 32];
        rejecting[..2].copy_from_slice(&[0x19, 0x10]);
        let seeds = Seeds::from_vec(vec![Seed::new([5; 32]), Seed::new(rejecting)]);
        let (plain, factors) = (vec![Fp::ONE; 500_000], [vec![Fp::reduce(3), Fp::ONE.negate()]]);
        let one = seeds.mask(Cores::ONE, "values", &B256::ZERO, &plain, &factors);
        for threads in [2, 3, 4, 5] {
            let cores = Cores::new(core::num::NonZeroUsize::new(threads).unwrap());
            let several = seeds.mask(cores, "values", &B256::ZERO, &plain, &factors);
            assert!(several.masked == one.masked && several.shares == one.shares, "{threads}");
        }
    }
}
