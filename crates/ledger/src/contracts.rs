//! The contracts as their committed artefacts (`abi/*.json`) describe them: generated bindings and bytecode.
//!
//! Everything else in this crate speaks in checked types of its own. The bindings are public for those who drive the
//! contracts without a provider, such as the simulator.

/// Each in a module of its own: what two contracts have in common is generated for each of them.
macro_rules! bindings {
    ($($module:ident $contract:ident $path:literal)*) => {$(
        #[allow(missing_docs, clippy::too_many_arguments, reason = "generated; the docs stand in contracts/src")]
        pub mod $module {
            alloy::sol!(
                #[derive(Debug)]
                $contract,
                $path
            );
        }
        pub use $module::$contract;
    )*};
}

bindings! {
    consilium Consilium "abi/Consilium.json"
    registry NodeRegistry "abi/NodeRegistry.json"
    treasury Treasury "abi/Treasury.json"
    study_token StudyToken "abi/StudyToken.json"
    licences Licences "abi/Licences.json"
    set_court SetCourt "abi/SetCourt.json"
    sum_kind SumKind "abi/SumKind.json"
    privacy_budget PrivacyBudget "abi/PrivacyBudget.json"
    sponsorship Sponsorship "abi/Sponsorship.json"
    trial_token TrialToken "abi/TrialToken.json"
}

pub use consilium::IRecords;
pub use licences::ILicences;
pub use registry::{ICourt, INodeRegistry};
pub use study_token::IStudyToken;
pub use treasury::ITreasury;

use crate::addresses::Addresses;
use crate::deploy::DeployOptions;
use alloy::sol_types::SolValue;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// The creation of all contracts. They name each other, so each one's address is fixed before the first exists: all come
/// from one account, in this order, with nothing in between.
#[derive(Debug, Clone)]
pub struct Creations {
    /// Where each will be.
    pub addresses: Addresses,
    /// Name, address and creation code of each, in the order of their nonces.
    pub codes: [(&'static str, Address, Bytes); 9],
}

impl Creations {
    /// The creations by an account whose next nonce is `nonce`, on the chain of this id.
    #[must_use]
    pub fn by(account: Address, nonce: u64, chain_id: u64, options: &DeployOptions) -> Self {
        let at = |step: u64| account.create(nonce + step);
        let addresses = Addresses {
            chain_id,
            registry: at(0),
            study_token: at(1),
            treasury: at(2),
            licences: at(3),
            set_court: at(4),
            sum_kind: at(5),
            privacy_budget: at(6),
            consilium: at(8),
            trial_token: None,
            deployed_at: 0,
        };
        let codes = creation_codes(&addresses, at(7), options);
        Self { addresses, codes }
    }
}

/// Name, address and creation code of each contract, in the order of creation.
fn creation_codes(at: &Addresses, sponsorship: Address, options: &DeployOptions) -> [(&'static str, Address, Bytes); 9] {
    let consilium = at.consilium;
    let stakes = (
        (options.minimum_stake, options.unbonding_delay, options.probation),
        (options.compensation_delay, options.claim_time, options.sink, consilium),
    );
    let parts = (at.registry, at.study_token, at.treasury, at.set_court, at.privacy_budget, vec![at.sum_kind]);
    let rules = (options.dispute_time, options.minimum_window, options.longest_pause, options.trial);
    let judge = (consilium, at.registry).abi_encode_params();
    let purses = (consilium, at.licences, options.escheat_time, options.sink).abi_encode_params();
    let of_consilium = (parts.clone(), rules, sponsorship).abi_encode_params();
    let sales = (consilium, at.treasury, at.study_token).abi_encode_params();
    let code = |bytecode: &[u8], arguments: Vec<u8>| Bytes::from([bytecode, &arguments].concat());
    [
        ("NodeRegistry", at.registry, code(&NodeRegistry::BYTECODE, stakes.abi_encode_params())),
        ("StudyToken", at.study_token, code(&StudyToken::BYTECODE, (consilium,).abi_encode_params())),
        ("Treasury", at.treasury, code(&Treasury::BYTECODE, purses)),
        ("Licences", at.licences, code(&Licences::BYTECODE, sales)),
        ("SetCourt", at.set_court, code(&SetCourt::BYTECODE, judge.clone())),
        ("SumKind", at.sum_kind, code(&SumKind::BYTECODE, judge)),
        ("PrivacyBudget", at.privacy_budget, code(&PrivacyBudget::BYTECODE, (consilium,).abi_encode_params())),
        ("Sponsorship", sponsorship, code(&Sponsorship::BYTECODE, (parts, rules).abi_encode_params())),
        ("Consilium", consilium, code(&Consilium::BYTECODE, of_consilium)),
    ]
}

/// What a study is created with and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedTerms<'a> {
    /// Kind of study.
    pub kind: u8,
    /// Program name.
    pub program: &'a str,
    /// Program parameters.
    pub parameters: &'a [u8],
    /// Elements of a result.
    pub output_length: u64,
    /// What a weight of 1 stands for.
    pub weight_unit: &'a str,
    /// Hash of the sponsor's description; zero for none.
    pub description: B256,
}

impl FixedTerms<'_> {
    /// Their hash, as `createStudy` stores it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        let parameters = Bytes::copy_from_slice(self.parameters);
        let (program, unit) = (self.program.to_owned(), self.weight_unit.to_owned());
        keccak256((U256::from(self.kind), program, parameters, self.output_length, unit, self.description).abi_encode_params())
    }
}
