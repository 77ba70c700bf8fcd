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
    trial_token TrialToken "abi/TrialToken.json"
}

pub use consilium::IConsilium;
pub use licences::ILicences;
pub use registry::{ICourt, INodeRegistry};
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
    pub codes: [(&'static str, Address, Bytes); 7],
}

impl Creations {
    /// The creations by an account whose next nonce is `nonce`, on the chain of this id.
    #[must_use]
    pub fn by(account: Address, nonce: u64, chain_id: u64, options: &DeployOptions) -> Self {
        let [registry, study_token, treasury, licences, set_court, sum_kind, consilium] =
            [0, 1, 2, 3, 4, 5, 6].map(|step| account.create(nonce + step));
        let addresses = Addresses {
            chain_id,
            registry,
            consilium,
            treasury,
            licences,
            study_token,
            set_court,
            sum_kind,
            trial_token: None,
            deployed_at: 0,
        };
        let stakes = (
            (options.minimum_stake, options.unbonding_delay, options.probation),
            (options.compensation_delay, options.claim_time, options.sink, consilium),
        );
        let parts = (registry, study_token, treasury, set_court, vec![sum_kind]);
        let rules = (options.dispute_time, options.minimum_window, options.trial);
        let code = |bytecode: &[u8], arguments: Vec<u8>| Bytes::from([bytecode, &arguments].concat());
        let judge = (consilium, registry).abi_encode_params();
        let codes = [
            ("NodeRegistry", registry, code(&NodeRegistry::BYTECODE, stakes.abi_encode_params())),
            ("StudyToken", study_token, code(&StudyToken::BYTECODE, (consilium,).abi_encode_params())),
            ("Treasury", treasury, code(&Treasury::BYTECODE, (consilium, licences, options.period_length).abi_encode_params())),
            ("Licences", licences, code(&Licences::BYTECODE, (consilium, treasury).abi_encode_params())),
            ("SetCourt", set_court, code(&SetCourt::BYTECODE, judge.clone())),
            ("SumKind", sum_kind, code(&SumKind::BYTECODE, judge)),
            ("Consilium", consilium, code(&Consilium::BYTECODE, (parts, rules).abi_encode_params())),
        ];
        Self { addresses, codes }
    }
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
