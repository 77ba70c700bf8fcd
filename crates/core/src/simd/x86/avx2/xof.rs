//! Eight output blocks of BLAKE3 at a time, one in each 32-bit lane.

use crate::simd::x86::Avx2;
use crate::simd::xof::{BLOCK_WORDS, Root, compress, in_lanes};
use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set_epi8,
    _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

const LANES: usize = 8;

/// Output blocks number `counter` and up of a root whose message ends with zeros from word `WORDS` on.
pub(in crate::simd) fn blocks<const WORDS: usize>(_: Avx2, root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    // SAFETY: an `Avx2` exists only where the processor has AVX2.
    unsafe { blocks_avx2::<WORDS>(root, counter, out) }
}

#[target_feature(enable = "avx2")]
fn blocks_avx2<const WORDS: usize>(root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    let fixed = Fixed::new(root);
    let columns = root.columns(counter);
    in_lanes(counter, out, |low, blocks| eight_blocks::<WORDS>(root, &columns, &fixed, low, blocks));
}

#[target_feature(enable = "avx2")]
fn eight_blocks<const WORDS: usize>(
    root: &Root,
    columns: &[u32; 16],
    fixed: &Fixed,
    low: [u32; LANES],
    out: &mut [[u64; BLOCK_WORDS]; LANES],
) {
    let all = |word: u32| _mm256_set1_epi32(word as i32);
    let v = compress!(root, columns, load(&low), WORDS, fixed.message, all, _mm256_xor_si256, mix, fixed);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = v;
    let low = transpose([a, b, c, d, e, f, g, h]);
    let high = transpose([i, j, k, l, m, n, o, p]);
    for ((block, low), high) in out.iter_mut().zip(low).zip(high) {
        let (first, second) = block.split_at_mut(4);
        // SAFETY: each half is 32 bytes of plain words, and the store needs no alignment.
        unsafe {
            _mm256_storeu_si256(first.as_mut_ptr().cast(), low);
            _mm256_storeu_si256(second.as_mut_ptr().cast(), high);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u32; LANES]) -> __m256i {
    // SAFETY: 32 bytes are readable, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn mix(v: &mut [__m256i; 16], [a, b, c, d]: [usize; 4], x: __m256i, y: __m256i, fixed: &Fixed) {
    v[a] = _mm256_add_epi32(_mm256_add_epi32(v[a], x), v[b]);
    v[d] = _mm256_shuffle_epi8(_mm256_xor_si256(v[d], v[a]), fixed.rotate16);
    v[c] = _mm256_add_epi32(v[c], v[d]);
    v[b] = rotate::<12, 20>(_mm256_xor_si256(v[b], v[c]));
    v[a] = _mm256_add_epi32(_mm256_add_epi32(v[a], y), v[b]);
    v[d] = _mm256_shuffle_epi8(_mm256_xor_si256(v[d], v[a]), fixed.rotate8);
    v[c] = _mm256_add_epi32(v[c], v[d]);
    v[b] = rotate::<7, 25>(_mm256_xor_si256(v[b], v[c]));
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(x), _mm256_slli_epi32::<LEFT>(x))
}

/// What is the same for all blocks: the message, one word in all lanes, and the shuffles of bytes that rotate.
struct Fixed {
    message: [__m256i; 16],
    rotate16: __m256i,
    rotate8: __m256i,
}

impl Fixed {
    #[target_feature(enable = "avx2")]
    fn new(root: &Root) -> Self {
        let rotate16 = _mm256_set_epi8(
            13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2, 13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2,
        );
        let rotate8 = _mm256_set_epi8(
            12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1, 12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1,
        );
        // The compiler would replace a shuffle that it knows by two of words, and move others before it.
        let (rotate16, rotate8) = core::hint::black_box((rotate16, rotate8));
        Self { message: root.message.map(|word| _mm256_set1_epi32(word as i32)), rotate16, rotate8 }
    }
}

/// An 8 x 8 matrix of words, rows to columns.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> [__m256i; 8] {
    let pairs = |a, b| (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let fours = |a, b| (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let ((ab0, ab1), (cd0, cd1), (ef0, ef1), (gh0, gh1)) = (pairs(a, b), pairs(c, d), pairs(e, f), pairs(g, h));
    let ((p0, p1), (p2, p3)) = (fours(ab0, cd0), fours(ab1, cd1));
    let ((q0, q1), (q2, q3)) = (fours(ef0, gh0), fours(ef1, gh1));
    let low = |p, q| _mm256_permute2x128_si256::<0x20>(p, q);
    let high = |p, q| _mm256_permute2x128_si256::<0x31>(p, q);
    [low(p0, q0), low(p1, q1), low(p2, q2), low(p3, q3), high(p0, q0), high(p1, q1), high(p2, q2), high(p3, q3)]
}
