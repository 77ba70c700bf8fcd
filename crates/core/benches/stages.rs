//! Each stage of a contribution on its own: `cargo bench -p consilium-core`. `consilium bench` measures whole steps beside
//! what the machine allows.

mod sample;

use consilium_core::cores::Cores;
use consilium_core::field::{self, Fp};
use consilium_core::merkle::vector_root;
use consilium_core::params::lagrange;
use consilium_core::stream::Stream;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sample::Sample;
use std::hint::black_box;

/// Coordinates of every vector: small enough for many runs, larger than the inner caches.
const D: usize = 100_000;

fn elements(seed: u8) -> Vec<Fp> {
    Stream::new(&[seed; 32], "values", &[]).elements(D)
}

/// The inner loops: hash output, projections on the rows, interpolation, tree.
fn loops(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loops");
    group.throughput(Throughput::Bytes(8 * D as u64));
    let mut words = vec![0; D];
    group.bench_function("stream", |b| {
        b.iter(|| Stream::new(&[1; 32], "values", &[2; 32]).fill_words(black_box(&mut words)));
    });
    let sample = Sample::new(D);
    let (program, input) = sample.input();
    let matrix: Vec<u8> = elements(7).iter().flat_map(|value| value.value().to_le_bytes()).collect();
    group.bench_function("rows", |b| {
        b.iter(|| {
            let mut rows = |bytes: &mut [u8]| bytes.copy_from_slice(&matrix[..bytes.len()]);
            black_box(program.witness(input, 40, &mut rows))
        });
    });
    let (points, vectors) = ([1, 3], [elements(1), elements(2)]);
    group.bench_function("interpolation", |b| {
        let vectors = [&vectors[0][..], &vectors[1]];
        let mut sums = vec![Fp::ZERO; D];
        b.iter(|| field::add_products(black_box(&mut sums), &lagrange(&points, 5), &vectors));
    });
    group.bench_function("root", |b| b.iter(|| black_box(vector_root(&vectors[0]))));
    group.finish();
}

/// What sites and nodes do.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("steps");
    group.throughput(Throughput::Bytes(8 * D as u64)).sample_size(30);
    let sample = Sample::new(D);
    group.bench_function("contribute", |b| b.iter(|| black_box(sample.contribute(Cores::ONE))));
    let prove = |input| black_box(sample.prove(Cores::ONE, input));
    group.bench_function("prove", |b| b.iter_batched(|| sample.encoded(), prove, BatchSize::LargeInput));
    let (sum, served) = (sample.empty_sum(), sample.served());
    group.bench_function("verify", |b| b.iter(|| sample.verify(1, &sum)));
    let release = |sum| black_box(sample.release(Cores::ONE, &sum));
    group.bench_function("release", |b| b.iter_batched(|| sample.running_sum(1), release, BatchSize::LargeInput));
    group.bench_function("unmask", |b| b.iter(|| black_box(sample.unmask(Cores::ONE, &served))));
    group.finish();
}

criterion_group!(benches, loops, steps);
criterion_main!(benches);
