//! One honest contribution with everybody's seeds, and what sites and nodes do with it. For the benches and for the
//! count of instructions.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::Body;
use consilium_core::cores::Cores;
use consilium_core::encode::{Encoded, encode};
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::Committee;
use consilium_core::program::{Program, WeightedMean};
use consilium_core::prove::{Proved, prove_on};
use consilium_core::release::{OutputShare, RunningSum};
use consilium_core::unmask::unmask_on;
use consilium_core::verify::{Accepted, Verifier};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::hint::black_box;

/// A committee of five, one of them corrupt, and an update of some dimension.
pub(crate) struct Sample {
    committee: Committee,
    program: WeightedMean,
    ctx: B256,
    input: Encoded,
    seeds: Seeds,
    body: Body,
    values: Vec<u8>,
    cohort: Cohort,
}

impl Sample {
    /// An update of `d` coordinates, masked and proved.
    pub(crate) fn new(d: usize) -> Self {
        let committee = Committee::new(5, 1).unwrap();
        let program = WeightedMean::new(d as u64, 25, 8, WeightedMean::PRODUCTION_TESTS, 1.0).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let update: Vec<f64> = (0..d).map(|i| (i as f64 * 0.37).sin()).collect();
        let input = encode(&program, &update, 40, &mut rng).unwrap();
        let ctx = B256::repeat_byte(3);
        let seeds = Seeds::draw(&committee, &ctx, input.values(), &[1; 32], &mut rng);
        let proved = prove_on(Cores::ONE, &committee, &program, &ctx, &input, &seeds).unwrap();
        let (body, values) = (Body::from(&proved), field::to_bytes(&proved.values));
        let cohort = Cohort::new(vec![SetMember { site: Address::ZERO, digest: body.digest(&ctx) }]).unwrap();
        Self { committee, program, ctx, input, seeds, body, values, cohort }
    }

    /// The program with the input's values.
    #[allow(dead_code, reason = "not every target measures the witness alone")]
    pub(crate) fn input(&self) -> (&dyn Program, &[Fp]) {
        (&self.program, self.input.values())
    }

    /// The site's proof.
    pub(crate) fn prove(&self, cores: Cores) -> Proved {
        prove_on(cores, &self.committee, &self.program, &self.ctx, &self.input, &self.seeds).unwrap()
    }

    /// A node's verification.
    pub(crate) fn verify(&self, node: usize) -> Accepted {
        let seed = |number: usize| (number, self.seeds.as_slice()[number].clone());
        let held: BTreeMap<usize, Seed> = self.committee.seeds_of(node).map(seed).collect();
        let verifier = Verifier { committee: &self.committee, program: &self.program, node };
        verifier.verify(Address::ZERO, &self.ctx, &self.body, &self.values, &held).unwrap()
    }

    /// A node's sum after it has accepted the contribution.
    pub(crate) fn running_sum(&self, node: usize) -> RunningSum {
        let mut sum = RunningSum::new(self.program.output_len());
        sum.add(&self.verify(node));
        sum
    }

    /// A node's output share and its root.
    pub(crate) fn release(&self, cores: Cores, sum: &RunningSum) -> OutputShare {
        let share = sum.release(&self.cohort).unwrap();
        black_box(share.root_on(cores));
        share
    }

    /// The output shares of nodes 1 to 3, as many as an aggregate needs.
    pub(crate) fn served(&self) -> BTreeMap<usize, OutputShare> {
        (1..=3).map(|node| (node, self.release(Cores::ONE, &self.running_sum(node)))).collect()
    }

    /// The aggregate and all roots from served shares.
    pub(crate) fn unmask(&self, cores: Cores, served: &BTreeMap<usize, OutputShare>) -> B256 {
        let served: BTreeMap<usize, &[Fp]> = served.iter().map(|(node, share)| (*node, share.values())).collect();
        unmask_on(cores, &self.committee, &served).unwrap().root()
    }
}
