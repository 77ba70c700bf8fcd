//! One codec for everything binary off the chain: little-endian, lengths that the context demands, nothing left over.

use crate::error::Malformed;
use crate::field::{self, Ext, Fp};
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

/// The bytes of elements of K: both coefficients, one after the other.
#[must_use]
pub fn extension_bytes(values: &[Ext]) -> Vec<u8> {
    let flat: Vec<Fp> = values.iter().flat_map(|v| [v.a, v.b]).collect();
    field::to_bytes(&flat)
}
