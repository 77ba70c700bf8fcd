//! Output blocks of BLAKE3's extendable output (BLAKE3 paper, section 2.6), several at a time.
//!
//! An input of at most 1024 bytes is one chunk. All output blocks are the compression of that chunk's last block under
//! the same chaining value, and differ in the counter alone, so that a processor computes one block a lane. The
//! `blake3` crate does so with AVX-512 only, if a C compiler was there and the system is a Unix, and else computes block
//! after block, at a quarter of AVX2's speed.

use crate::transcript::VERSION;
use core::ops::BitXor as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Words of 64 bits in one output block.
pub(crate) const BLOCK_WORDS: usize = 8;
/// Longest input that is one chunk.
const CHUNK_BYTES: usize = 1024;
const BLOCK_BYTES: usize = 64;

const IV: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// Bytes of the input for the public matrix, `consilium v2 rows` 0x00: as much output is made from it as from four masks.
const MATRIX_INPUT: u32 = (VERSION.len() + " rows\0".len()) as u32;
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;
const KEYED_HASH: u32 = 16;

/// The message words of the seven rounds, in the order in which they are mixed in.
pub(super) const SCHEDULE: [[usize; 16]; 7] = schedule();

const fn schedule() -> [[usize; 16]; 7] {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut rounds = [[0; 16]; 7];
    let mut i = 0;
    while i < 16 {
        rounds[0][i] = i;
        i += 1;
    }
    let mut round = 1;
    while round < 7 {
        let mut i = 0;
        while i < 16 {
            rounds[round][i] = rounds[round - 1][PERMUTATION[i]];
            i += 1;
        }
        round += 1;
    }
    rounds
}

/// The compression function of several blocks with its full output of 16 words, each a register with one block a lane, from the
/// state of [`Root::columns`] on. `low` are the lower halves of the counters. Of the message, only the first `words` words are not
/// zero; `all` is a word that all blocks have, `mix` the function that the paper calls G, with what else it takes.
///
/// Macros, as the state stays in registers only if each round is compiled in place, with its order of words as constants, and
/// generic functions are not always. One block at a time is faster with a loop over the rounds.
macro_rules! compress {
    ($root:expr, $columns:expr, $low:expr, $words:expr, $message:expr, $all:expr, $xor:expr, $mix:expr $(, $fixed:expr)?) => {{
        use $crate::simd::xof::{SCHEDULE, diagonals, finish, round};
        let [a, b, c, d, e, f, g, h, i, j, k, l, _, n, o, p] = *$columns;
        let mut v = [
            $all(a),
            $all(b),
            $all(c),
            $all(d),
            $all(e),
            $all(f),
            $all(g),
            $all(h),
            $all(i),
            $all(j),
            $all(k),
            $all(l),
            $low,
            $all(n),
            $all(o),
            $all(p),
        ];
        let m = |i: usize| if i < $words { $message[i] } else { $all(0_u32) };
        $mix(&mut v, [0, 4, 8, 12], m(0), m(1) $(, $fixed)?);
        diagonals!(v, m, const { &SCHEDULE[0] }, $mix $(, $fixed)?);
        round!(v, m, const { &SCHEDULE[1] }, $mix $(, $fixed)?);
        round!(v, m, const { &SCHEDULE[2] }, $mix $(, $fixed)?);
        round!(v, m, const { &SCHEDULE[3] }, $mix $(, $fixed)?);
        round!(v, m, const { &SCHEDULE[4] }, $mix $(, $fixed)?);
        round!(v, m, const { &SCHEDULE[5] }, $mix $(, $fixed)?);
        round!(v, m, const { &SCHEDULE[6] }, $mix $(, $fixed)?);
        finish!($root, v, $all, $xor);
        v
    }};
}

/// One round, with the message's words in the order `order`: the columns, then the diagonals.
macro_rules! round {
    ($v:expr, $message:expr, $order:expr, $mix:expr $(, $fixed:expr)?) => {{
        $mix(&mut $v, [0, 4, 8, 12], $message($order[0]), $message($order[1]) $(, $fixed)?);
        $mix(&mut $v, [1, 5, 9, 13], $message($order[2]), $message($order[3]) $(, $fixed)?);
        $mix(&mut $v, [2, 6, 10, 14], $message($order[4]), $message($order[5]) $(, $fixed)?);
        $mix(&mut $v, [3, 7, 11, 15], $message($order[6]), $message($order[7]) $(, $fixed)?);
        $crate::simd::xof::diagonals!($v, $message, $order, $mix $(, $fixed)?);
    }};
}

/// The second half of a round.
macro_rules! diagonals {
    ($v:expr, $message:expr, $order:expr, $mix:expr $(, $fixed:expr)?) => {{
        $mix(&mut $v, [0, 5, 10, 15], $message($order[8]), $message($order[9]) $(, $fixed)?);
        $mix(&mut $v, [1, 6, 11, 12], $message($order[10]), $message($order[11]) $(, $fixed)?);
        $mix(&mut $v, [2, 7, 8, 13], $message($order[12]), $message($order[13]) $(, $fixed)?);
        $mix(&mut $v, [3, 4, 9, 14], $message($order[14]), $message($order[15]) $(, $fixed)?);
    }};
}

/// From the state after the last round to the output.
macro_rules! finish {
    ($root:expr, $v:expr, $all:expr, $xor:expr) => {
        for i in 0..8 {
            $v[i] = $xor($v[i], $v[i + 8]);
            $v[i + 8] = $xor($v[i + 8], $all($root.chaining[i]));
        }
    };
}
pub(super) use {compress, diagonals, finish, round};

/// The last block of a keyed chunk, ready to be output under any counter. Knows the key: wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Root {
    pub(super) chaining: [u32; 8],
    pub(super) message: [u32; 16],
    pub(super) length: u32,
    pub(super) flags: u32,
}

impl Root {
    /// The root of `input` under `key`, or `None` when the input is longer than one chunk.
    pub(crate) fn keyed(key: &[u8; 32], input: &[u8]) -> Option<Self> {
        if input.len() > CHUNK_BYTES {
            return None;
        }
        let mut root = Self { chaining: le_words(key), message: [0; 16], length: 0, flags: KEYED_HASH | CHUNK_START };
        let last = input.len().saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES;
        let (before, rest) = input.split_at(last);
        for block in before.chunks_exact(BLOCK_BYTES) {
            root.message = le_words(block);
            root.length = BLOCK_BYTES as u32;
            let state = root.compress(0);
            root.chaining = core::array::from_fn(|i| state[i]);
            root.flags = KEYED_HASH;
        }
        root.message = le_words(rest);
        root.length = rest.len() as u32;
        root.flags |= CHUNK_END | ROOT;
        Some(root)
    }

    /// Output blocks number `counter` and up, as little-endian words.
    pub(crate) fn blocks(&self, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
        let Some(token) = super::lanes::Lanes::detect() else { return self.blocks_portable(counter, out) };
        let left = (1 << 32) - (counter & u64::from(u32::MAX));
        let (now, later) = out.split_at_mut(out.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        if self.length <= MATRIX_INPUT {
            super::lanes::xof::blocks::<{ MATRIX_INPUT.div_ceil(4) as usize }>(token, self, counter, now);
        } else {
            super::lanes::xof::blocks::<16>(token, self, counter, now);
        }
        if !later.is_empty() {
            self.blocks(counter.wrapping_add(left), later);
        }
    }

    /// The state of the blocks whose counters have this one's upper half, before the first round, but with columns 1 to 3
    /// mixed: the lower half is in column 0.
    pub(super) fn columns(&self, counter: u64) -> Zeroizing<[u32; 16]> {
        let (mut v, m) = (self.start(counter), &self.message);
        mix(&mut v, [1, 5, 9, 13], m[2], m[3]);
        mix(&mut v, [2, 6, 10, 14], m[4], m[5]);
        mix(&mut v, [3, 7, 11, 15], m[6], m[7]);
        Zeroizing::new(v)
    }

    /// The state before the first round.
    fn start(&self, counter: u64) -> [u32; 16] {
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, ..]) = (self.chaining, IV);
        [a, b, c, d, e, f, g, h, i, j, k, l, counter as u32, (counter >> 32) as u32, self.length, self.flags]
    }

    /// [`Self::blocks`], one after the other.
    pub(crate) fn blocks_portable(&self, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
        for (counter, block) in (counter..).zip(out) {
            let state = self.compress(counter);
            *block = core::array::from_fn(|i| u64::from(state[2 * i]) | u64::from(state[2 * i + 1]) << 32);
        }
    }

    /// The compression function of one block with its full output of 16 words.
    fn compress(&self, counter: u64) -> [u32; 16] {
        let mut v = self.start(counter);
        for order in &SCHEDULE {
            round!(v, |i: usize| self.message[i], order, mix);
        }
        finish!(self, v, u32::from, u32::bitxor);
        v
    }
}

#[inline(always)]
fn mix(v: &mut [u32; 16], [a, b, c, d]: [usize; 4], x: u32, y: u32) {
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(x);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(12);
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(y);
    v[d] = (v[d] ^ v[a]).rotate_right(8);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(7);
}

/// Has `make` write output blocks number `counter` and up, as many at a time as there are lanes, from the lower halves of their
/// counters. Of the last ones, what is over is wiped.
#[inline]
pub(super) fn in_lanes<const LANES: usize>(
    counter: u64,
    out: &mut [[u64; BLOCK_WORDS]],
    make: impl Fn([u32; LANES], &mut [[u64; BLOCK_WORDS]; LANES]),
) {
    let mut low = core::array::from_fn(|lane| (counter as u32).wrapping_add(lane as u32));
    let (whole, rest) = out.as_chunks_mut();
    for blocks in whole {
        make(low, blocks);
        low = low.map(|counter| counter.wrapping_add(LANES as u32));
    }
    if !rest.is_empty() {
        let mut blocks = Zeroizing::new([[0; BLOCK_WORDS]; LANES]);
        make(low, &mut blocks);
        rest.copy_from_slice(&blocks[..rest.len()]);
    }
}

/// Little-endian words, padded with zeros.
fn le_words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (i, &byte) in bytes.iter().enumerate() {
        words[i / 4] |= u32::from(byte) << (8 * (i % 4));
    }
    words
}

/// Output blocks number `counter` and up of the `blake3` crate's own reader.
pub(crate) fn blocks_of_crate(reader: &mut blake3::OutputReader, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    let words = out.as_flattened_mut();
    // SAFETY: the words of one exclusive slice are as many times eight initialised bytes, whose alignment is 1, and
    // whatever bytes are written are words again.
    let bytes = unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), size_of_val(words)) };
    reader.set_position(counter.wrapping_mul(BLOCK_BYTES as u64));
    reader.fill(bytes);
    words.iter_mut().for_each(|word| *word = u64::from_le(*word));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::each_set;
    use proptest::prelude::*;

    fn reference(key: &[u8; 32], input: &[u8], counter: u64, count: usize) -> Vec<[u64; 8]> {
        let mut bytes = vec![0; 64 * count];
        let mut reader = blake3::Hasher::new_keyed(key).update(input).finalize_xof();
        reader.set_position(64 * counter);
        reader.fill(&mut bytes);
        let word = |block: &[u8], i: usize| u64::from_le_bytes(block[8 * i..8 * i + 8].try_into().unwrap());
        bytes.chunks(64).map(|block| core::array::from_fn(|i| word(block, i))).collect()
    }

    proptest! {
        #[test]
        fn all_loops_are_those_of_the_blake3_crate(
            key: [u8; 32], input in proptest::collection::vec(any::<u8>(), 0..1025),
            counter in prop_oneof![0u64..100, (1u64 << 32) - 20..(1 << 32) + 20, 0..1u64 << 57], count in 0usize..40,
        ) {
            let want = reference(&key, &input, counter, count);
            let root = Root::keyed(&key, &input).unwrap();
            let (mut portable, mut fast) = (vec![[0; 8]; count], vec![[0; 8]; count]);
            root.blocks_portable(counter, &mut portable);
            prop_assert_eq!(&portable, &want);
            for set in each_set() {
                fast.fill([0; 8]);
                root.blocks(counter, &mut fast);
                prop_assert_eq!(&fast, &want, "{}", set.name());
            }
            let mut reader = blake3::Hasher::new_keyed(&key).update(&input).finalize_xof();
            blocks_of_crate(&mut reader, counter, &mut fast);
            prop_assert_eq!(&fast, &want);
        }
    }

    #[test]
    fn block_and_chunk_boundaries_are_those_of_the_blake3_crate() {
        for (set, length) in each_set().flat_map(|set| [0, 1, 63, 64, 65, 127, 128, 129, 1023, 1024].map(|length| (set, length)))
        {
            let input = vec![7; length];
            let mut got = [[0; 8]; 3];
            Root::keyed(&[9; 32], &input).unwrap().blocks(0, &mut got);
            assert_eq!(got.to_vec(), reference(&[9; 32], &input, 0, 3), "{} {length}", set.name());
        }
        assert!(Root::keyed(&[9; 32], &[0; 1025]).is_none());
    }
}
