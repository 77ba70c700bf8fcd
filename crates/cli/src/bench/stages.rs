//! The steps of core on one core: a site's proof, a node's verification, its release, and unmasking.

use super::{Row, Times};
use crate::failure::Failure;
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::Body;
use consilium_core::encode::{Encoded, encode};
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::Committee;
use consilium_core::program::WeightedMean;
use consilium_core::prove::prove;
use consilium_core::release::{OutputShare, RunningSum};
use consilium_core::stream::Stream;
use consilium_core::unmask::unmask;
use consilium_core::verify::{Accepted, Verifier};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::hint::black_box;

/// Words over which the machine's limits are measured: more than its caches hold.
const PROBE: usize = 8 << 20;
/// Bits of randomness that one coordinate takes in the rows' matrix: two a row.
const MATRIX_BYTES: f64 = 32.0;

/// What the machine can do, in milliseconds a byte.
struct Limits {
    hash_output: f64,
    copy: f64,
}

impl Limits {
    fn measure(repeat: u32) -> Self {
        let mut words = vec![0_u64; PROBE];
        let source = vec![1_u64; PROBE];
        let bytes = 8.0 * PROBE as f64;
        let output = Times::of(repeat.min(5), || Stream::new(&[1; 32], "values", &[2; 32]).fill_words(black_box(&mut words)));
        let copy = Times::of(repeat.min(5), || black_box(&mut words).copy_from_slice(black_box(&source)));
        Self { hash_output: output.median() / bytes, copy: copy.median() / bytes }
    }
}

/// One honest contribution with everybody's seeds.
struct Sample<'a> {
    committee: &'a Committee,
    program: WeightedMean,
    ctx: B256,
    input: Encoded,
    seeds: Seeds,
}

impl<'a> Sample<'a> {
    fn new(committee: &'a Committee, d: u64) -> Result<Self, Failure> {
        let program = WeightedMean::new(d, 25, 8, WeightedMean::PRODUCTION_TESTS, 1.0).map_err(Failure::usage)?;
        let mut rng = ChaCha20Rng::seed_from_u64(d);
        let update: Vec<f64> = (0..d).map(|i| (i as f64 * 0.37).sin()).collect();
        let input = encode(&program, &update, 40, &mut rng).map_err(Failure::failed)?;
        let ctx = B256::repeat_byte(3);
        let seeds = Seeds::draw(committee, &ctx, input.values(), &[1; 32], &mut rng);
        Ok(Self { committee, program, ctx, input, seeds })
    }

    fn verify(&self, node: usize, body: &Body, values: &[u8]) -> Result<Accepted, Failure> {
        let held: BTreeMap<usize, Seed> =
            self.committee.seeds_of(node).map(|number| (number, self.seeds.as_slice()[number].clone())).collect();
        let verifier = Verifier { committee: self.committee, program: &self.program, node };
        verifier.verify(Address::ZERO, &self.ctx, body, values, &held).map_err(|step| Failure::wrong(format!("{step:?}")))
    }
}

/// `prove`, `verify`, `release` and `unmask` at one size.
pub(super) fn rows(committee: &Committee, d: u64, repeat: u32) -> Result<Vec<Row>, Failure> {
    let (limits, sample) = (Limits::measure(repeat), Sample::new(committee, d)?);
    let vector = 8.0 * d as f64;
    let expanded = |streams: usize| (streams as f64 * vector + MATRIX_BYTES * d as f64) * limits.hash_output;
    let prove = || prove(committee, &sample.program, &sample.ctx, &sample.input, &sample.seeds);
    let proved = prove().map_err(Failure::failed)?;
    let (body, values) = (Body::from(&proved), field::to_bytes(&proved.values));
    drop(proved);
    let proving = Times::of(repeat, || drop(black_box(prove())));
    let verifying = Times::of(repeat, || drop(black_box(sample.verify(1, &body, &values))));

    let cohort =
        Cohort::new(vec![SetMember { site: Address::ZERO, digest: body.digest(&sample.ctx) }]).map_err(Failure::failed)?;
    let running = |node| {
        let mut sum = RunningSum::new(d as usize + 1);
        sample.verify(node, &body, &values).map(|accepted| sum.add(&accepted)).map(|()| sum)
    };
    let release = |sum: &RunningSum| sum.release(&cohort).map_err(Failure::failed);
    let first = running(1)?;
    let releasing = Times::of(repeat, || drop(black_box(release(&first).map(|share| share.root()))));
    let shares = (1..=2 * committee.t() + 1).map(|node| Ok((node, release(&running(node)?)?)));
    let shares = shares.collect::<Result<BTreeMap<usize, OutputShare>, Failure>>()?;
    let served: BTreeMap<usize, &[Fp]> = shares.iter().map(|(node, share)| (*node, share.values())).collect();
    let sum = unmask(committee, &served).map_err(Failure::failed)?;
    if sum.values()[..d as usize] != *sample.input.values() {
        return Err(Failure::wrong("the unmasked sum is not what went in"));
    }
    let unmasking = Times::of(repeat, || drop(black_box(unmask(committee, &served).map(|sum| sum.root()))));

    let seeds_of_one = committee.seeds_of(1).count();
    Ok(vec![
        Row::new("prove", d, committee, &proving, expanded(committee.excluded().len())),
        Row::new("verify", d, committee, &verifying, expanded(seeds_of_one)),
        Row::new("release", d, committee, &releasing, vector * limits.copy),
        Row::new("unmask", d, committee, &unmasking, (2 * committee.t() + 2) as f64 * vector * limits.copy),
    ])
}
