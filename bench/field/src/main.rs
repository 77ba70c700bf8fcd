//! Our field arithmetic beside Plonky3's for the same field, where a node uses it: four vectors times a factor each, added to a
//! sum. On one core; the lowest of some runs. Plonky3 chooses its vectors when it is compiled:
//!
//!   cargo run --release --locked --manifest-path bench/field/Cargo.toml [portable|avx2|avx512]
//!   RUSTFLAGS="-C target-cpu=native" cargo run --release --locked --manifest-path bench/field/Cargo.toml

use consilium_core::field::{self, Fp};
use consilium_core::simd::{self, InstructionSet};
use consilium_core::stream::Stream;
use p3_field::{Field, PackedValue, PrimeCharacteristicRing, PrimeField64};
use p3_goldilocks::Goldilocks;
use std::hint::black_box;
use std::time::Instant;

/// Coordinates: a multiple of every vector's width, and small enough for a cache.
const D: usize = 99_968;
const STREAMS: usize = 4;
const RUNS: usize = 60;

type Packed = <Goldilocks as Field>::Packing;

/// Microseconds.
fn lowest(mut work: impl FnMut()) -> f64 {
    let run = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e6
    };
    (0..RUNS).map(run).fold(f64::INFINITY, f64::min)
}

fn packed(sums: &mut [Goldilocks], factors: [Goldilocks; STREAMS], vectors: [&[Goldilocks]; STREAMS]) {
    let (factors, vectors) = (factors.map(Packed::from), vectors.map(Packed::pack_slice));
    for (i, sum) in Packed::pack_slice_mut(sums).iter_mut().enumerate() {
        let products: [Packed; STREAMS] = std::array::from_fn(|k| factors[k] * vectors[k][i]);
        *sum += products[0] + products[1] + products[2] + products[3];
    }
}

fn main() {
    let wanted = std::env::args().nth(1);
    if let Some(set) = InstructionSet::ALL.into_iter().find(|set| wanted.as_deref() == Some(set.name())) {
        simd::use_at_most(set);
    }
    let vectors: [Vec<Fp>; STREAMS] = std::array::from_fn(|i| Stream::new(&[i as u8; 32], "values", &[]).elements(D));
    let factors = Stream::new(&[9; 32], "values", &[]).elements(STREAMS);
    let theirs = |value: &Fp| Goldilocks::from_u64(value.value());
    let their_vectors = vectors.each_ref().map(|vector| vector.iter().map(theirs).collect::<Vec<_>>());
    let their_factors: [Goldilocks; STREAMS] = std::array::from_fn(|i| theirs(&factors[i]));

    let (slices, their_slices) = (vectors.each_ref().map(Vec::as_slice), their_vectors.each_ref().map(Vec::as_slice));
    let (mut sums, mut their_sums) = (vec![Fp::ZERO; D], vec![Goldilocks::ZERO; D]);
    field::add_products(&mut sums, &factors, &slices);
    packed(&mut their_sums, their_factors, their_slices);
    let same = sums.iter().zip(&their_sums).all(|(ours, theirs)| ours.value() == theirs.as_canonical_u64());
    assert!(same, "the two disagree");

    let ours = lowest(|| field::add_products(black_box(&mut sums), &factors, black_box(&slices)));
    let theirs = lowest(|| packed(black_box(&mut their_sums), their_factors, black_box(their_slices)));
    println!("{D} coordinates, {STREAMS} vectors: ours ({}) {ours:.0} us, p3-goldilocks ({} lanes) {theirs:.0} us, {:.2} times",
        simd::in_use().name(), Packed::WIDTH, theirs / ours);
}
