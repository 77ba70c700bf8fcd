//! Each stage of a contribution on its own: `cargo bench -p consilium-core`. `consilium bench` measures whole steps beside
//! what the machine allows.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::Body;
use consilium_core::encode::{Encoded, encode};
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::merkle::vector_root;
use consilium_core::params::{Committee, lagrange};
use consilium_core::program::{Program, WeightedMean};
use consilium_core::prove::prove;
use consilium_core::release::{OutputShare, RunningSum};
use consilium_core::stream::Stream;
use consilium_core::unmask::unmask;
use consilium_core::verify::{Accepted, Verifier};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::hint::black_box;

/// Coordinates of every vector: small enough for many runs, larger than the inner caches.
const D: usize = 100_000;

/// One honest contribution with everybody's seeds.
struct Sample {
    committee: Committee,
    program: WeightedMean,
    ctx: B256,
    input: Encoded,
    seeds: Seeds,
}

impl Sample {
    fn new() -> Self {
        let committee = Committee::new(5, 1).unwrap();
        let program = WeightedMean::new(D as u64, 25, 8, WeightedMean::PRODUCTION_TESTS, 1.0).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let update: Vec<f64> = (0..D).map(|i| (i as f64 * 0.37).sin()).collect();
        let input = encode(&program, &update, 40, &mut rng).unwrap();
        let ctx = B256::repeat_byte(3);
        let seeds = Seeds::draw(&committee, &ctx, input.values(), &[1; 32], &mut rng);
        Self { committee, program, ctx, input, seeds }
    }

    fn verify(&self, node: usize, body: &Body, values: &[u8]) -> Accepted {
        let seed = |number: usize| (number, self.seeds.as_slice()[number].clone());
        let held: BTreeMap<usize, Seed> = self.committee.seeds_of(node).map(seed).collect();
        let verifier = Verifier { committee: &self.committee, program: &self.program, node };
        verifier.verify(Address::ZERO, &self.ctx, body, values, &held).unwrap()
    }
}

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
    let sample = Sample::new();
    let matrix: Vec<u8> = elements(7).iter().flat_map(|value| value.value().to_le_bytes()).collect();
    group.bench_function("rows", |b| {
        b.iter(|| {
            let mut rows = |bytes: &mut [u8]| bytes.copy_from_slice(&matrix[..bytes.len()]);
            black_box(sample.program.witness(sample.input.values(), 40, &mut rows))
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
    let sample = Sample::new();
    let proving = || prove(&sample.committee, &sample.program, &sample.ctx, &sample.input, &sample.seeds).unwrap();
    group.bench_function("prove", |b| b.iter(|| black_box(proving())));
    let proved = proving();
    let (body, values) = (Body::from(&proved), field::to_bytes(&proved.values));
    group.bench_function("verify", |b| b.iter(|| black_box(sample.verify(1, &body, &values))));

    let cohort = Cohort::new(vec![SetMember { site: Address::ZERO, digest: body.digest(&sample.ctx) }]).unwrap();
    let running = |node| {
        let mut sum = RunningSum::new(D + 1);
        sum.add(&sample.verify(node, &body, &values));
        sum
    };
    let first = running(1);
    group.bench_function("release", |b| b.iter(|| black_box(first.release(&cohort).unwrap().root())));
    let shares: BTreeMap<usize, OutputShare> = (1..=3).map(|node| (node, running(node).release(&cohort).unwrap())).collect();
    let served: BTreeMap<usize, &[Fp]> = shares.iter().map(|(node, share)| (*node, share.values())).collect();
    group.bench_function("unmask", |b| b.iter(|| black_box(unmask(&sample.committee, &served).unwrap().root())));
    group.finish();
}

criterion_group!(benches, loops, steps);
criterion_main!(benches);
