//! One codec for everything binary off the chain: little-endian, lengths that the context demands, nothing left over.

use crate::error::Malformed;
use crate::field::{self, Ext, Fp};
use crate::simd::pages;
use alloy_primitives::{Address, B256};

/// Reads a message; every read is bounded by what is there.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn bytes(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let missing = length.saturating_sub(self.rest.len());
        let (head, tail) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated { what, needed: missing })?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N, what)?);
        Ok(array)
    }

    /// A byte that must have this value: a version or a tag.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn tag(&mut self, expected: u8, what: &'static str) -> Result<(), Malformed> {
        let [found] = self.array(what)?;
        if found == expected { Ok(()) } else { Err(Malformed::Tag { what, found: found.into() }) }
    }

    /// A u32.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// A u64.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A hash.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn hash(&mut self, what: &'static str) -> Result<B256, Malformed> {
        self.array(what).map(B256::from)
    }

    /// An address.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn address(&mut self, what: &'static str) -> Result<Address, Malformed> {
        self.array(what).map(Address::from)
    }

    /// `length` canonical field elements.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn elements(&mut self, length: usize, what: &'static str) -> Result<Vec<Fp>, Malformed> {
        field::from_bytes(self.bytes(length.saturating_mul(8), what)?, length, what)
    }

    /// `length` canonical elements of K.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn extensions(&mut self, length: usize, what: &'static str) -> Result<Vec<Ext>, Malformed> {
        let flat = self.elements(length.saturating_mul(2), what)?;
        Ok(flat.as_chunks::<2>().0.iter().map(|&[a, b]| Ext { a, b }).collect())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Malformed::Trailing`].
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing(self.rest.len())) }
    }
}

/// Whole words of eight bytes from pieces that may end within one.
#[derive(Default)]
pub(crate) struct Words {
    partial: [u8; 8],
    held: usize,
}

impl Words {
    /// Hands the words that are whole now to `take`, in order.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[[u8; 8]])) {
        if self.held > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(8 - self.held));
            self.partial[self.held..self.held + head.len()].copy_from_slice(head);
            self.held += head.len();
            if self.held < 8 {
                return;
            }
            take(&[self.partial]);
            bytes = rest;
        }
        let (words, tail) = bytes.as_chunks();
        take(words);
        self.held = tail.len();
        self.partial[..self.held].copy_from_slice(tail);
    }

    /// Whether the last word is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.held == 0
    }
}

/// A vector of field elements whose bytes arrive in pieces of any length.
pub struct Elements {
    what: &'static str,
    length: usize,
    words: Words,
    values: Vec<Fp>,
}

impl Elements {
    /// Expects exactly `length` elements. Their memory is taken as they arrive.
    #[must_use]
    pub fn new(length: usize, what: &'static str) -> Self {
        Self { what, length, words: Words::default(), values: pages::with_capacity(length) }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Malformed`] for a word that is not below p, or one too many.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let Self { what, length, words, values } = self;
        let mut fits = Ok(());
        words.push(bytes, |words| {
            if values.len() + words.len() > *length {
                fits = Err(Malformed::Length { what, expected: *length, found: values.len() + words.len() });
            } else if !field::extend_from_bytes(values, words) {
                fits = Err(Malformed::NonCanonical(what));
            }
        });
        fits
    }

    /// The vector.
    ///
    /// # Errors
    /// [`Malformed::Length`] unless it is complete.
    pub fn finish(self) -> Result<Vec<Fp>, Malformed> {
        if self.values.len() == self.length && self.words.is_whole() {
            return Ok(self.values);
        }
        Err(Malformed::Length { what: self.what, expected: self.length, found: self.values.len() })
    }
}

impl core::fmt::Debug for Elements {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Elements({} of {})", self.values.len(), self.length)
    }
}

/// The bytes of elements of K: both coefficients, one after the other.
#[must_use]
pub fn extension_bytes(values: &[Ext]) -> Vec<u8> {
    let flat: Vec<Fp> = values.iter().flat_map(|v| [v.a, v.b]).collect();
    field::to_bytes(&flat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vector_in_pieces_is_the_vector_whole(
            length in 0usize..60, cuts in proptest::collection::vec(0usize..30, 0..40), change in 0usize..4, at: prop::sample::Index, seed: u64,
        ) {
            let values: Vec<Fp> = (0..length as u64).map(|i| Fp::reduce(seed.rotate_left(i as u32))).collect();
            let mut bytes: Vec<u8> = values.iter().flat_map(|value| value.value().to_le_bytes()).collect();
            match change {
                1 if length > 0 => bytes.truncate(at.index(bytes.len())),
                2 => bytes.extend_from_slice(&seed.to_le_bytes()[..1 + at.index(8)]),
                3 if length > 0 => {
                    let word = 8 * at.index(length);
                    bytes[word..word + 8].copy_from_slice(&(field::MODULUS + seed % (u64::MAX - field::MODULUS + 1)).to_le_bytes());
                }
                _ => {}
            }
            let right = change == 0 || (length == 0 && change != 2);
            let mut elements = Elements::new(length, "vector");
            let mut rest = &bytes[..];
            let mut pieces: Vec<&[u8]> = cuts.iter().map(|&cut| rest.split_off(..cut.min(rest.len())).unwrap()).collect();
            pieces.push(rest);
            let taken = pieces.into_iter().try_for_each(|piece| elements.push(piece)).and_then(|()| elements.finish());
            let whole = field::from_bytes(&bytes, length, "vector");
            if right {
                prop_assert_eq!(&taken, &Ok(values.clone()));
                prop_assert_eq!(&whole, &Ok(values));
            } else {
                prop_assert!(taken.is_err() && whole.is_err());
            }
        }
    }
}
