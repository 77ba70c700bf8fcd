//! One honest contribution with everybody's seeds, and what sites and nodes do with it. For the benches and for the
//! count of instructions.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::{Body, Contribution, Contributor};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::encode::{Encoded, encode, encode_on};
use consilium_core::field::{self, Fp};
use consilium_core::mask::{Seed, Seeds};
use consilium_core::params::{Committee, CommitteeMembers, KIND_SUM, Member};
use consilium_core::program::{Program, WeightedMean};
use consilium_core::prove::{Proved, prove, prove_on};
use consilium_core::release::{OutputShare, RunningSum};
use consilium_core::seal::KemSecret;
use consilium_core::transcript::Context;
use consilium_core::unmask::unmask_on;
use consilium_core::verify::Verifier;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

const WEIGHT: u64 = 40;
const DEVICE_SECRET: [u8; 32] = [1; 32];

/// A committee of five, one of them corrupt, and an update of some dimension.
pub(crate) struct Sample {
    committee: CommitteeMembers,
    program: WeightedMean,
    context: Context,
    key: SecretKey,
    update: Vec<f64>,
    input: Encoded,
    seeds: Seeds,
    body: Body,
    values: Vec<u8>,
    cohort: Cohort,
    /// How many sites the contribution was verified as.
    sites: AtomicU64,
}

#[allow(dead_code, reason = "not every target measures all of it")]
impl Sample {
    /// An update of `d` coordinates, masked and proved.
    pub(crate) fn new(d: usize) -> Self {
        let committee = committee();
        let program = WeightedMean::new(d as u64, 25, 8, WeightedMean::PRODUCTION_TESTS, 1.0).unwrap();
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let context = Context {
            chain_id: 1,
            contract: Address::ZERO,
            study: 1,
            round: 1,
            kind: KIND_SUM.into(),
            subject: B256::ZERO,
            committee: committee.hash(),
            program: program.hash(),
            policy: B256::ZERO,
        };
        let ctx = context.of_site(key.address());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let update: Vec<f64> = (0..d).map(|i| (i as f64 * 0.37).sin()).collect();
        let input = encode(&program, &ctx, &update, WEIGHT, &DEVICE_SECRET, &mut rng).unwrap();
        let seeds = Seeds::draw(committee.sizes(), &ctx, input.values(), &DEVICE_SECRET, &mut rng);
        let proved = prove(committee.sizes(), &program, &ctx, &input, &seeds).unwrap();
        let (body, values) = (Body::from(&proved), field::to_bytes(&proved.values));
        let cohort = Cohort::new(vec![SetMember { site: key.address(), digest: body.digest(&ctx) }]).unwrap();
        Self { committee, program, context, key, update, input, seeds, body, values, cohort, sites: AtomicU64::new(0) }
    }

    /// The program with the input's values.
    pub(crate) fn input(&self) -> (&dyn Program, &[Fp]) {
        (&self.program, self.input.values())
    }

    fn ctx(&self) -> B256 {
        self.context.of_site(self.key.address())
    }

    /// A site's whole work, from the plain update to what travels.
    pub(crate) fn contribute(&self, cores: Cores) -> (Contribution, Vec<Fp>) {
        let Self { committee, program, context, key, update, .. } = self;
        let domain = Domain { chain_id: context.chain_id, contract: context.contract };
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let input = encode_on(cores, program, &self.ctx(), update, WEIGHT, &DEVICE_SECRET, &mut rng).unwrap();
        Contributor { domain, committee, program, context, key }.contribute(cores, input, &DEVICE_SECRET, &mut rng).unwrap()
    }

    /// What one proof uses up.
    pub(crate) fn encoded(&self) -> Encoded {
        self.input.clone()
    }

    /// Of that, masking and proving.
    pub(crate) fn prove(&self, cores: Cores, mut input: Encoded) -> Proved {
        prove_on(cores, self.committee.sizes(), &self.program, &self.ctx(), &mut input, &self.seeds).unwrap()
    }

    /// A node's verification, which adds the share to its sum, each time as that of another site.
    pub(crate) fn verify(&self, node: usize, sum: &RunningSum) {
        let site = self.sites.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        self.add(node, sum, Address::left_padding_from(&site));
    }

    fn add(&self, node: usize, sum: &RunningSum, site: Address) {
        let committee = self.committee.sizes();
        let seed = |number: usize| (number, self.seeds.as_slice()[number].clone());
        let held: BTreeMap<usize, Seed> = committee.seeds_of(node).map(seed).collect();
        let verifier = Verifier { committee, program: &self.program, node };
        let mut addition = verifier.add_to(sum, site, &self.ctx(), &self.body, &held);
        addition.push(&self.values);
        addition.finish().unwrap();
    }

    /// A node's sum, over no contribution.
    pub(crate) fn empty_sum(&self) -> RunningSum {
        RunningSum::new(self.program.output_len())
    }

    /// A node's sum over this contribution alone.
    pub(crate) fn running_sum(&self, node: usize) -> RunningSum {
        let sum = self.empty_sum();
        self.add(node, &sum, self.key.address());
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
        unmask_on(cores, self.committee.sizes(), &served, &mut ChaCha20Rng::seed_from_u64(1)).unwrap().root()
    }
}

fn committee() -> CommitteeMembers {
    let member = |i: u8| Member { address: Address::repeat_byte(i), kem_key: KemSecret::from_bytes(&[i; 32]).public_key() };
    CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, (1..=5).map(member).collect()).unwrap()
}
