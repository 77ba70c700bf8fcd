//! A hospital's whole work on an update, up to the bytes that travel.

use crate::failure::Failure;
use alloy_primitives::{Address, B256};
use consilium_core::contribution::Contributor;
use consilium_core::cores::Cores;
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::encode::encode_on;
use consilium_core::field;
use consilium_core::params::{Committee, CommitteeMembers, KIND_SUM, Member};
use consilium_core::program::{Program, WeightedMean};
use consilium_core::seal::KemSecret;
use consilium_core::transcript::Context;
use consilium_site::nodes::body;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A hospital in a round of a made-up study.
pub(super) struct Hospital {
    domain: Domain,
    committee: CommitteeMembers,
    context: Context,
    key: SecretKey,
}

impl Hospital {
    pub(super) fn new(committee: &Committee, program: &WeightedMean) -> Result<Self, Failure> {
        let number = |i: usize| u8::try_from(i).unwrap_or(u8::MAX);
        let member = |i| Member {
            address: Address::repeat_byte(number(i)),
            kem_key: KemSecret::from_bytes(&[number(i); 32]).public_key(),
        };
        let members = (1..=committee.n()).map(member).collect();
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
        Ok(Self { domain, committee, context, key })
    }

    /// Clips, quantises, draws seeds, masks, proves, seals and signs. The message, header and masked vector, as it is sent.
    pub(super) fn contribute(&self, cores: Cores, program: &WeightedMean, update: &[f64]) -> Result<Vec<u8>, Failure> {
        let Self { domain, committee, context, key } = self;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let input = encode_on(cores, program, update, 40, &mut rng).map_err(Failure::failed)?;
        let contributor = Contributor { domain: *domain, committee, program, context, key };
        let (header, values) = contributor.contribute(cores, &input, &[1; 32], &mut rng).map_err(Failure::failed)?;
        Ok(field::with_bytes(&values, |values| body(&header.to_bytes(), values)))
    }
}
