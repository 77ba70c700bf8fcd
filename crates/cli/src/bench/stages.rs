//! The steps of core: a site's proof, a node's verification, its release, and unmasking.

use super::hospital::Hospital;
use super::{Row, Times};
use crate::commands::bench::Arguments;
use crate::failure::Failure;
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::Body;
use consilium_core::cores::Cores;
use consilium_core::encode::{Encoded, encode};
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::Committee;
use consilium_core::program::{Program, WeightedMean};
use consilium_core::prove::prove_on;
use consilium_core::release::{OutputShare, RunningSum};
use consilium_core::stream::Stream;
use consilium_core::unmask::unmask_on;
use consilium_core::verify::{Accepted, Verifier};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroUsize;

/// Words over which the machine's limits are measured: more than its caches hold.
const PROBE: usize = 8 << 20;
/// Bits of randomness that one coordinate takes in the rows' matrix: two a row.
const MATRIX_BYTES: f64 = 32.0;

/// What the machine can do, in milliseconds a byte.
pub(super) struct Limits {
    hash_output: f64,
    copy: f64,
}

impl Limits {
    /// Measured on one core.
    pub(super) fn measure(repeat: u32) -> Self {
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
    update: Vec<f64>,
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
        Ok(Self { committee, program, ctx, update, input, seeds })
    }

    fn verify(&self, node: usize, body: &Body, values: &[u8]) -> Result<Accepted, Failure> {
        let held: BTreeMap<usize, Seed> =
            self.committee.seeds_of(node).map(|number| (number, self.seeds.as_slice()[number].clone())).collect();
        let verifier = Verifier { committee: self.committee, program: &self.program, node };
        verifier.verify(Address::ZERO, &self.ctx, body, values, &held).map_err(|step| Failure::wrong(format!("{step:?}")))
    }
}

/// The steps at one size, ready to be measured.
pub(super) struct Stages<'a> {
    sample: Sample<'a>,
    limits: &'a Limits,
    repeat: u32,
    cores: Cores,
    body: Body,
    values: Vec<u8>,
    cohort: Cohort,
}

impl<'a> Stages<'a> {
    pub(super) fn new(committee: &'a Committee, d: u64, arguments: &Arguments, limits: &'a Limits) -> Result<Self, Failure> {
        let cores = NonZeroUsize::new(arguments.threads as usize).map_or(Cores::ONE, Cores::new);
        let sample = Sample::new(committee, d)?;
        let Sample { program, ctx, input, seeds, .. } = &sample;
        let proved = prove_on(cores, committee, program, ctx, input, seeds).map_err(Failure::failed)?;
        let (body, values) = (Body::from(&proved), field::to_bytes(&proved.values));
        let member = SetMember { site: Address::ZERO, digest: body.digest(&sample.ctx) };
        let cohort = Cohort::new(vec![member]).map_err(Failure::failed)?;
        Ok(Self { sample, limits, repeat: arguments.repeat, cores, body, values, cohort })
    }

    /// `prove`, `verify`, `release` and `unmask`.
    pub(super) fn rows(&self) -> Result<Vec<Row>, Failure> {
        let mut rows = vec![self.proving()?, self.verifying()];
        rows.extend(self.closing()?);
        Ok(rows)
    }

    /// `release` and `unmask`.
    pub(super) fn closing(&self) -> Result<[Row; 2], Failure> {
        let sum = self.running_sum(1)?;
        let releasing = self.row("release", self.vector() * self.limits.copy, || {
            drop(black_box(sum.release(&self.cohort).map(|share| share.root_on(self.cores))));
        });
        drop(sum);
        Ok([releasing, self.unmasking()?])
    }

    fn proving(&self) -> Result<Row, Failure> {
        let Sample { committee, program, update, .. } = &self.sample;
        let hospital = Hospital::new(committee, program)?;
        let mut last = Ok(0);
        let floor = self.expanded(committee.excluded().len());
        let row = self.row("prove", floor, || {
            let contributed = hospital.contribute(self.cores, program, update);
            // Without the four bytes of the header's length.
            last = contributed.map(|message| black_box(message).len() as u64 - 4);
        });
        Ok(Row { bytes: Some(last?), ..row })
    }

    fn verifying(&self) -> Row {
        let verify = || drop(black_box(self.sample.verify(1, &self.body, &self.values)));
        let times = Times::of(self.repeat, || {
            std::thread::scope(|scope| {
                (1..self.cores.count()).for_each(|_| drop(scope.spawn(verify)));
                verify();
            });
        });
        let floor = self.expanded(self.sample.committee.seeds_of(1).count());
        Row::new("verify", self.d(), self.sample.committee, &times.each_of(self.cores.count()), floor)
    }

    fn unmasking(&self) -> Result<Row, Failure> {
        let committee = self.sample.committee;
        let share = |node| self.running_sum(node)?.release(&self.cohort).map_err(Failure::failed);
        let shares = (1..=committee.agreement()).map(|node| Ok((node, share(node)?)));
        let shares = shares.collect::<Result<BTreeMap<usize, OutputShare>, Failure>>()?;
        let served: BTreeMap<usize, &[Fp]> = shares.iter().map(|(node, share)| (*node, share.values())).collect();
        let sum = unmask_on(self.cores, committee, &served).map_err(Failure::failed)?;
        if sum.values()[..self.d() as usize] != *self.sample.input.values() {
            return Err(Failure::wrong("the unmasked sum is not what went in"));
        }
        drop(sum);
        let floor = (committee.agreement() + 1) as f64 * self.vector() * self.limits.copy;
        Ok(self.row("unmask", floor, || {
            drop(black_box(unmask_on(self.cores, committee, &served).map(|sum| sum.root())));
        }))
    }

    fn running_sum(&self, node: usize) -> Result<RunningSum, Failure> {
        let mut sum = RunningSum::new(self.d() as usize + 1);
        sum.add(&self.sample.verify(node, &self.body, &self.values)?);
        Ok(sum)
    }

    fn row(&self, name: &'static str, floor_ms: f64, work: impl FnMut()) -> Row {
        Row::new(name, self.d(), self.sample.committee, &Times::of(self.repeat, work), floor_ms)
    }

    fn d(&self) -> u64 {
        self.sample.program.dimension() as u64
    }

    fn vector(&self) -> f64 {
        8.0 * self.d() as f64
    }

    /// Milliseconds for the output of some mask streams and the matrix.
    fn expanded(&self, streams: usize) -> f64 {
        (streams as f64 * self.vector() + MATRIX_BYTES * self.d() as f64) * self.limits.hash_output
    }
}
