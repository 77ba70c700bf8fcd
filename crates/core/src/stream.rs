//! Expansion of seeds into masks and of challenges into the matrix and the combiner (section 7).

use crate::field::{self, Ext, Fp};
use crate::simd::xof::{self, BLOCK_WORDS, Root};
use crate::transcript::VERSION;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng, utils};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of one output block of BLAKE3.
const BLOCK_BYTES: usize = 8 * BLOCK_WORDS;

/// A stream of bytes and field elements: the keyed BLAKE3 XOF of `consilium v2 <label>` 0x00 `ctx` under a seed.
///
/// Field elements are little-endian u64 words; a word that is not below p is skipped. The number of skipped words
/// depends on the seed alone and a skip has probability 2^-32 a word, so its timing tells nothing about a value that
/// is used.
pub struct Stream {
    source: Source,
    /// Bytes read so far.
    position: u64,
}

enum Source {
    /// An input of one chunk: as many blocks at a time as the processor has lanes.
    Chunk(Root),
    /// A longer one.
    Tree(blake3::OutputReader),
}

impl Drop for Source {
    fn drop(&mut self) {
        // A root wipes itself.
        if let Self::Tree(reader) = self {
            reader.zeroize();
        }
    }
}

impl Stream {
    /// Opens the stream `label` of `seed` in context `ctx`.
    #[must_use]
    pub fn new(seed: &[u8; 32], label: &str, ctx: &[u8]) -> Self {
        let input = [VERSION.as_bytes(), b" ", label.as_bytes(), &[0], ctx].concat();
        let tree = || {
            let mut hasher = blake3::Hasher::new_keyed(seed);
            let reader = hasher.update(&input).finalize_xof();
            hasher.zeroize();
            Source::Tree(reader)
        };
        Self { source: Root::keyed(seed, &input).map_or_else(tree, Source::Chunk), position: 0 }
    }

    /// Goes `words` words of 64 bits further, as if they had been read and none skipped.
    pub(crate) fn advance(&mut self, words: u64) {
        self.position += 8 * words;
    }

    /// Words of 64 bits read so far, those that were skipped included.
    pub(crate) fn words_read(&self) -> u64 {
        self.position / 8
    }

    /// The next bytes, as they are.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let skip = (self.position % BLOCK_BYTES as u64) as usize;
            let mut block = [[0; BLOCK_WORDS]; 8];
            let count = (skip + rest.len()).div_ceil(BLOCK_BYTES).min(block.len());
            self.blocks(self.position / BLOCK_BYTES as u64, &mut block[..count]);
            let mut available = block[..count].iter().flatten().flat_map(|word| word.to_le_bytes()).skip(skip);
            let taken = rest.len().min(count * BLOCK_BYTES - skip);
            let (now, later) = rest.split_at_mut(taken);
            now.iter_mut().zip(&mut available).for_each(|(byte, value)| *byte = value);
            self.position += taken as u64;
            rest = later;
            block.zeroize();
        }
    }

    /// The next little-endian words of 64 bits, without skipping any. After [`Self::fill_bytes`] has read a part of a
    /// word, its rest is the start of the next one.
    pub fn fill_words(&mut self, words: &mut [u64]) {
        let into_block = (self.position % BLOCK_BYTES as u64) as usize;
        if !into_block.is_multiple_of(8) {
            return words.iter_mut().for_each(|word| *word = self.word());
        }
        let (head, rest) = words.split_at_mut(words.len().min((BLOCK_WORDS - into_block / 8) % BLOCK_WORDS));
        let (blocks, tail) = rest.as_chunks_mut::<BLOCK_WORDS>();
        self.part_of_block(head);
        self.blocks(self.position / BLOCK_BYTES as u64, blocks);
        self.position += (BLOCK_BYTES * blocks.len()) as u64;
        self.part_of_block(tail);
    }

    fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Words that lie within one block.
    fn part_of_block(&mut self, words: &mut [u64]) {
        if words.is_empty() {
            return;
        }
        let mut block = [[0; BLOCK_WORDS]];
        self.blocks(self.position / BLOCK_BYTES as u64, &mut block);
        let skip = (self.position % BLOCK_BYTES as u64) as usize / 8;
        words.copy_from_slice(&block[0][skip..skip + words.len()]);
        self.position += 8 * words.len() as u64;
        block.zeroize();
    }

    fn blocks(&mut self, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
        match &mut self.source {
            Source::Chunk(root) => root.blocks(counter, out),
            Source::Tree(reader) => xof::blocks_of_crate(reader, counter, out),
        }
    }

    /// The next field elements, as canonical words.
    pub(crate) fn fill_canonical(&mut self, out: &mut [u64]) {
        let mut filled = 0;
        while filled < out.len() {
            self.fill_words(&mut out[filled..]);
            filled += field::keep_canonical(&mut out[filled..]);
        }
    }

    /// The next `length` field elements.
    #[must_use]
    pub fn elements(&mut self, length: usize) -> Vec<Fp> {
        let mut words = Zeroizing::new(vec![0; length]);
        self.fill_canonical(&mut words);
        words.iter().map(|&word| Fp::reduce(word)).collect()
    }

    /// The next element of K: its two coefficients.
    #[must_use]
    pub fn extension(&mut self) -> Ext {
        let pair = self.elements(2);
        Ext { a: pair[0], b: pair[1] }
    }
}

/// A generator of its own for one piece of work: the stream `randomness` of a secret seed.
pub(crate) struct Randomness(Stream);

impl Randomness {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(Stream::new(seed, "randomness", &[]))
    }
}

impl TryRng for Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Randomness {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_mixture_of_reads_gives_the_bytes_of_the_hash(
            seed: [u8; 32], long: bool, reads in proptest::collection::vec((any::<bool>(), 0usize..700), 1..8),
        ) {
            let ctx = vec![5; if long { 2000 } else { 32 }];
            let input = [b"consilium v2 values\0", ctx.as_slice()].concat();
            let mut want = blake3::Hasher::new_keyed(&seed).update(&input).finalize_xof();
            let mut stream = Stream::new(&seed, "values", &ctx);
            for (words, length) in reads {
                let mut expected = vec![0; if words { 8 * length } else { length }];
                want.fill(&mut expected);
                let mut got = vec![0; length];
                if words {
                    let mut read = vec![0; length];
                    stream.fill_words(&mut read);
                    got = read.iter().flat_map(|word| word.to_le_bytes()).collect();
                } else {
                    stream.fill_bytes(&mut got);
                }
                prop_assert_eq!(got, expected);
            }
        }
    }
}
