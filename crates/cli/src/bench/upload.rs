//! What a hospital sends to each node: the bytes of a whole contribution, sealed and signed, as they travel.

use crate::failure::Failure;
use alloy_primitives::{Address, B256};
use consilium_core::contribution::Contributor;
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::mask::Seeds;
use consilium_core::params::{Committee, CommitteeMembers, KIND_SUM, Member};
use consilium_core::program::Program;
use consilium_core::prove::Proved;
use consilium_core::seal::KemSecret;
use consilium_core::transcript::Context;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The bytes of header and masked vector of the contribution that goes with a proof.
pub(super) fn bytes(committee: &Committee, program: &dyn Program, proved: &Proved, seeds: &Seeds) -> Result<u64, Failure> {
    let number = |i: usize| u8::try_from(i).unwrap_or(u8::MAX);
    let member =
        |i| Member { address: Address::repeat_byte(number(i)), kem_key: KemSecret::from_bytes(&[number(i); 32]).public_key() };
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
    let contributor = Contributor { domain, committee: &committee, program, context: &context, key: &key };
    let (header, values) = contributor.seal_and_sign(proved, seeds, &mut ChaCha20Rng::seed_from_u64(1));
    Ok((header.to_bytes().len() + values.len()) as u64)
}
