//! Vectors of field elements, whole and in pieces, against a reader that is one line of arithmetic. With it goes core's one
//! unsafe module: the wide loops for canonical values, and its views of bytes as words.

use crate::parts::Parts;
use consilium_core::codec::{Elements, Reader, extension_bytes};
use consilium_core::field::{self, MODULUS};
use consilium_core::merkle::{self, LEAF_ELEMENTS};

pub(crate) fn target(data: &[u8]) {
    let mut parts = Parts::new(data);
    let (length, cut) = (parts.number() % 2_048, parts.number());
    let bytes = parts.rest();
    let (words, tail) = bytes.as_chunks::<8>();
    let naive: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let right = tail.is_empty() && naive.len() == length && naive.iter().all(|word| *word < MODULUS);

    let whole = field::from_bytes(bytes, length, "vector");
    assert_eq!(whole.is_ok(), right);
    let mut elements = Elements::new(length, "vector");
    let pieces = bytes.chunks(cut % 97 + 1).try_for_each(|piece| elements.push(piece));
    assert_eq!(pieces.and_then(|()| elements.finish()).is_ok(), right);
    let mut reader = Reader::new(bytes);
    let read = reader.extensions(length / 2, "extensions");
    if let Ok(read) = &read {
        assert_eq!(extension_bytes(read), bytes[..16 * (length / 2)]);
    }

    let Ok(values) = whole else { return };
    assert!(values.iter().map(|value| value.value()).eq(naive));
    assert_eq!(field::to_bytes(&values), bytes);
    let leaf = |chunk: &[field::Fp]| merkle::leaf(&merkle::leaf_bytes(chunk));
    assert!(merkle::vector_leaves(&values).into_iter().eq(values.chunks(LEAF_ELEMENTS).map(leaf)));
}
