//! A contribution as it is sent and as it lies in the journal: u32 LE length of the header, header, masked vector.

use crate::journal::Hasher;
use alloy_primitives::B256;
use bytes::Bytes;
use consilium_core::field::{self, Fp};

/// The bytes of one upload, whatever they are. They lie in two parts, so that the masked vector is not copied, and a clone
/// shares them.
#[derive(Debug, Clone)]
pub struct Message {
    /// The header and its length.
    head: Bytes,
    /// The masked vector.
    values: Bytes,
}

impl Message {
    /// A header and the masked vector that goes with it.
    #[must_use]
    pub fn new(header: &[u8], values: Vec<Fp>) -> Self {
        Self::of_bytes(header, Bytes::from_owner(field::into_bytes(values)))
    }

    /// [`Self::new`] with any bytes for the masked vector.
    #[must_use]
    pub fn of_bytes(header: &[u8], values: impl Into<Bytes>) -> Self {
        let head = [&(header.len() as u32).to_le_bytes(), header].concat();
        Self { head: head.into(), values: values.into() }
    }

    /// All bytes in two parts, the second of which is the masked vector of a message that was not read from a file.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.values]
    }

    /// The number of all bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.head.len() + self.values.len()
    }

    /// The journal's hash of all bytes.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let mut hasher = Hasher::new();
        self.parts().into_iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }

    /// All bytes in pieces of at most `most`, which share the message's memory.
    pub(crate) fn pieces(self, most: usize) -> impl Iterator<Item = Bytes> {
        [self.head, self.values].into_iter().flat_map(move |part| {
            let starts = (0..part.len()).step_by(most);
            starts.map(move |start| part.slice(start..part.len().min(start + most)))
        })
    }
}

/// A message as it was read from a file.
impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self { head: Bytes::new(), values: bytes.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_pieces_and_a_file_are_the_same_bytes() {
        let values: Vec<Fp> = (1..=100).map(Fp::reduce).collect();
        let message = Message::new(b"header", values.clone());
        let whole = [b"\x06\0\0\0header".as_slice(), &field::to_bytes(&values)].concat();
        assert_eq!(message.parts().concat(), whole);
        assert_eq!(message.length(), whole.len());
        let read = Message::from(whole.clone());
        assert_eq!(message.hash().0, blake3::derive_key("consilium v2 journal", &whole));
        assert_eq!(read.hash(), message.hash());
        for most in [1, 7, 10, 64, 1000] {
            for message in [&message, &read] {
                let pieces: Vec<Bytes> = message.clone().pieces(most).collect();
                assert!(pieces.iter().all(|piece| (1..=most).contains(&piece.len())));
                assert_eq!(pieces.concat(), whole);
            }
        }
    }
}
