//! A hospital's whole work on an update, up to the bytes that travel, and what the nodes find in them.

use crate::failure::Failure;
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::contribution::{Body, Contribution, Contributor};
use consilium_core::cores::Cores;
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::encode::{Encoded, encode_on};
use consilium_core::field::Fp;
use consilium_core::mask::Seed;
use consilium_core::merkle::vector_root_on;
use consilium_core::params::{Committee, CommitteeMembers, KIND_SUM, Member};
use consilium_core::program::{Program, WeightedMean};
use consilium_core::release::RunningSum;
use consilium_core::seal::{BoxContext, KemSecret};
use consilium_core::transcript::Context;
use consilium_core::verify::Verifier;
use consilium_site::message::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

const WEIGHT: u64 = 40;
const DEVICE_SECRET: [u8; 32] = [1; 32];

/// A hospital in a round of a made-up study, and the keys of that study's committee.
pub(super) struct Hospital {
    domain: Domain,
    committee: CommitteeMembers,
    kem_secrets: Vec<KemSecret>,
    program: WeightedMean,
    context: Context,
    key: SecretKey,
}

impl Hospital {
    pub(super) fn new(committee: &Committee, d: u64) -> Result<Self, Failure> {
        let program = WeightedMean::new(d, 25, 8, WeightedMean::PRODUCTION_TESTS, 1.0).map_err(Failure::usage)?;
        let number = |i: usize| u8::try_from(i).unwrap_or(u8::MAX);
        let kem_secrets: Vec<_> = (1..=committee.n()).map(|i| KemSecret::from_bytes(&[number(i); 32])).collect();
        let member =
            |(i, secret): (usize, &KemSecret)| Member { address: Address::repeat_byte(number(i)), kem_key: secret.public_key() };
        let members = (1..).zip(&kem_secrets).map(member).collect();
        let committee = CommitteeMembers::new(committee.clone(), 1, members).map_err(Failure::failed)?;
        let domain = Domain { chain_id: 1, contract: Address::ZERO };
        let context = Context {
            chain_id: domain.chain_id,
            contract: domain.contract,
            study: 1,
            round: 1,
            kind: KIND_SUM.into(),
            subject: B256::ZERO,
            committee: committee.hash(),
            program: program.hash(),
            policy: B256::ZERO,
        };
        let key = SecretKey::from_bytes(&[7; 32]).map_err(Failure::failed)?;
        Ok(Self { domain, committee, kem_secrets, program, context, key })
    }

    pub(super) fn program(&self) -> &WeightedMean {
        &self.program
    }

    /// The plain update.
    pub(super) fn update(&self) -> Vec<f64> {
        (0..self.program.dimension()).map(|i| (i as f64 * 0.37).sin()).collect()
    }

    /// The root of the sum over this hospital alone.
    pub(super) fn expected(&self, cores: Cores, update: &[f64]) -> Result<B256, Failure> {
        let mut sum = self.encode(cores, update, &mut generator())?.values().to_vec();
        sum.push(Fp::reduce(WEIGHT));
        Ok(vector_root_on(cores, &sum))
    }

    /// Clips, quantises, draws seeds, masks, proves, seals and signs. The same message each time.
    pub(super) fn contribute(&self, cores: Cores, update: &[f64]) -> Result<Sent, Failure> {
        let Self { domain, committee, program, context, key, .. } = self;
        let mut rng = generator();
        let input = self.encode(cores, update, &mut rng)?;
        let contributor = Contributor { domain: *domain, committee, program, context, key };
        let (header, values) = contributor.contribute(cores, input, &DEVICE_SECRET, &mut rng).map_err(Failure::failed)?;
        let message = Message::new(&header.to_bytes(), values);
        Ok(Sent { header, message })
    }

    fn encode(&self, cores: Cores, update: &[f64], rng: &mut ChaCha20Rng) -> Result<Encoded, Failure> {
        let ctx = self.context.of_site(self.key.address());
        encode_on(cores, &self.program, &ctx, update, WEIGHT, &DEVICE_SECRET, rng).map_err(Failure::failed)
    }

    /// What the nodes need of a message before they verify it: each its seeds, from its box.
    pub(super) fn receive(&self, sent: Sent) -> Result<Received<'_>, Failure> {
        let ctx = self.context.of_site(self.key.address());
        let Contribution { body, boxes, .. } = sent.header;
        let digest = body.digest(&ctx);
        let open = |(i, sealed): (usize, &Vec<u8>)| {
            let opened = self.kem_secrets[i].open_box(&BoxContext { ctx, digest, node: i + 1 }, sealed);
            opened.map(|seeds| self.committee.sizes().seeds_of(i + 1).zip(seeds).collect())
        };
        let seeds = boxes.iter().enumerate().map(open).collect::<Result<_, _>>().map_err(Failure::wrong)?;
        let cohort = Cohort::new(vec![SetMember { site: self.key.address(), digest }]).map_err(Failure::failed)?;
        Ok(Received { hospital: self, ctx, body, message: sent.message, seeds, cohort })
    }
}

/// Randomness that is the same each time.
pub(super) fn generator() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// A contribution as it is sent.
pub(super) struct Sent {
    header: Contribution,
    message: Message,
}

impl Sent {
    /// Bytes of header and masked vector, without the four of the header's length.
    pub(super) fn uploaded(&self) -> u64 {
        self.message.length() as u64 - 4
    }
}

/// A contribution as the nodes have it.
pub(super) struct Received<'a> {
    hospital: &'a Hospital,
    ctx: B256,
    body: Body,
    message: Message,
    /// Each node's seeds by their numbers, node 1 first.
    seeds: Vec<BTreeMap<usize, Seed>>,
    /// This contribution alone.
    pub(super) cohort: Cohort,
}

impl Received<'_> {
    /// A node's verification, which adds the share to its sum as that of `site`.
    pub(super) fn verify(&self, node: usize, sum: &RunningSum, site: Address) -> Result<(), Failure> {
        let Hospital { committee, program, .. } = self.hospital;
        let [_, values] = self.message.parts();
        let verifier = Verifier { committee: committee.sizes(), program, node };
        let mut addition = verifier.add_to(sum, site, &self.ctx, &self.body, &self.seeds[node - 1]);
        addition.push(values);
        addition.finish().map_err(|rejected| Failure::wrong(format!("{rejected:?}")))
    }

    /// A node's sum, over no contribution.
    pub(super) fn empty_sum(&self) -> RunningSum {
        RunningSum::new(self.hospital.program.output_len())
    }

    /// A node's sum over this contribution alone.
    pub(super) fn running_sum(&self, node: usize) -> Result<RunningSum, Failure> {
        let sum = self.empty_sum();
        self.verify(node, &sum, self.hospital.key.address())?;
        Ok(sum)
    }
}
