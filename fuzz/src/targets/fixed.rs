//! What the targets and their seeds have in common: keys, a committee, the terms of a round.

use alloy_primitives::{Address, B256};
use consilium_core::certify::sites_root;
use consilium_core::eip712::{Domain, SecretKey};
use consilium_core::params::{Committee, CommitteeMembers, Finality, Member, Policy};
use consilium_core::program::{AnyProgram, OneHot, WeightedMean};
use consilium_core::seal::KemSecret;
use consilium_core::terms::Terms;
use consilium_ledger::Addresses;
use std::sync::OnceLock;

pub(crate) const DOMAIN: Domain = Domain { chain_id: 31_337, contract: Address::repeat_byte(2) };

pub(crate) const ADDRESSES: Addresses = Addresses {
    chain_id: 31_337,
    registry: Address::repeat_byte(1),
    consilium: Address::repeat_byte(2),
    treasury: Address::repeat_byte(3),
    licences: Address::repeat_byte(4),
    study_token: Address::repeat_byte(5),
    set_court: Address::repeat_byte(6),
    sum_kind: Address::repeat_byte(7),
    privacy_budget: Address::repeat_byte(8),
    trial_token: None,
    deployed_at: 0,
};

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("small numbers are keys")
}

pub(crate) fn kem(number: u8) -> KemSecret {
    KemSecret::from_bytes(&[number; 32])
}

/// A round of a weighted mean with nodes 1..=n and sites 21..=24, by their key numbers.
fn terms(n: u8, t: usize, program: AnyProgram) -> Terms {
    let member = |number: u8| Member { address: key(number).address(), kem_key: kem(number).public_key() };
    let sizes = Committee::new(n.into(), t).expect("the rule holds");
    let committee = CommitteeMembers::new(sizes, 1, (1..=n).map(member).collect()).expect("n distinct members");
    let mut sites: Vec<Address> = (21..=24).map(|number| key(number).address()).collect();
    sites.sort_unstable();
    let policy = Policy {
        minimum_cohort: 2,
        sites_root: sites_root(&sites).expect("sorted"),
        finality: Finality::Instant,
        opened: 1_000,
        deadline: 2_000,
        settle_by: 3_000,
    };
    Terms { domain: DOMAIN, study: 1, round: 7, subject: B256::repeat_byte(9), committee, program, policy, sites }
}

/// Rounds whose contributions have different shapes.
pub(crate) fn rounds() -> &'static [Terms] {
    static ROUNDS: OnceLock<Vec<Terms>> = OnceLock::new();
    ROUNDS.get_or_init(|| {
        let mean = |d| AnyProgram::WeightedMean(WeightedMean::new(d, 25, 8, 128, 1.0).expect("production parameters"));
        let ballot = AnyProgram::OneHot(OneHot::new(4).expect("four options"));
        vec![terms(5, 1, mean(3)), terms(4, 1, mean(40)), terms(9, 2, mean(3)), terms(5, 1, ballot)]
    })
}

/// The first of [`rounds`].
pub(crate) fn round() -> &'static Terms {
    &rounds()[0]
}
