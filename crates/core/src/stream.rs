//! Expansion of seeds into masks and of challenges into the matrix and the combiner (section 7).

use crate::field::{self, Ext, Fp};
use crate::transcript::VERSION;

/// A stream of bytes and field elements: the keyed BLAKE3 XOF of `consilium v1 <label>` 0x00 `ctx` under a seed.
///
/// Field elements are little-endian u64 words; a word that is not below p is skipped. The number of skipped words
/// depends on the seed alone and a skip has probability 2^-32 a word, so its timing tells nothing about a value that
/// is used.
pub struct Stream(blake3::OutputReader);

impl Stream {
    /// Opens the stream `label` of `seed` in context `ctx`.
    #[must_use]
    pub fn new(seed: &[u8; 32], label: &str, ctx: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(seed);
        hasher.update(VERSION.as_bytes()).update(b" ").update(label.as_bytes()).update(&[0]).update(ctx);
        Self(hasher.finalize_xof())
    }

    /// The next bytes, as they are.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    /// The next field elements; `scratch` is working memory that is reused from call to call.
    pub fn fill(&mut self, out: &mut [Fp], scratch: &mut Vec<u8>) {
        let mut filled = 0;
        while filled < out.len() {
            scratch.resize(8 * (out.len() - filled), 0);
            self.0.fill(scratch);
            for (slot, value) in out[filled..].iter_mut().zip(field::words(scratch).flatten()) {
                *slot = value;
                filled += 1;
            }
        }
    }

    /// The next `length` field elements.
    #[must_use]
    pub fn elements(&mut self, length: usize) -> Vec<Fp> {
        let mut out = vec![Fp::ZERO; length];
        let mut scratch = Vec::new();
        self.fill(&mut out, &mut scratch);
        zeroize::Zeroize::zeroize(&mut scratch);
        out
    }

    /// The next element of K: its two coefficients.
    #[must_use]
    pub fn extension(&mut self) -> Ext {
        let pair = self.elements(2);
        Ext { a: pair[0], b: pair[1] }
    }
}
