//! The contracts as their committed artefacts (`abi/*.json`) describe them: generated bindings and bytecode.
//!
//! Everything else in this crate speaks in checked types of its own. The bindings are public for those who drive the
//! contracts without a provider, such as the simulator.

#[allow(missing_docs, clippy::too_many_arguments, reason = "generated; the docs stand in contracts/src/interfaces")]
mod generated {
    alloy::sol!(
        #[derive(Debug)]
        Consilium,
        "abi/Consilium.json"
    );
    alloy::sol!(
        #[derive(Debug)]
        NodeRegistry,
        "abi/NodeRegistry.json"
    );
    alloy::sol!(
        #[derive(Debug)]
        Treasury,
        "abi/Treasury.json"
    );
    alloy::sol!(
        #[derive(Debug)]
        StudyToken,
        "abi/StudyToken.json"
    );
    alloy::sol!(
        #[derive(Debug)]
        Licences,
        "abi/Licences.json"
    );
    alloy::sol!(
        #[derive(Debug)]
        TrialToken,
        "abi/TrialToken.json"
    );
}

pub use generated::{
    Consilium, IConsilium, ICourt, ILicences, INodeRegistry, ITreasury, Licences, NodeRegistry, StudyToken, Treasury, TrialToken,
};

use crate::deploy::DeployOptions;
use alloy::sol_types::SolValue;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// The creation of all contracts. They name each other, so each one's address is fixed before the first exists: all five
/// come from one account, in this order, with nothing in between.
#[derive(Debug, Clone)]
pub struct Creations {
    /// Where the registry of nodes, stake and offences will be.
    pub registry: Address,
    /// Where the token of studies will be.
    pub study_token: Address,
    /// Where the treasury will be.
    pub treasury: Address,
    /// Where the licences will be.
    pub licences: Address,
    /// Where Consilium will be.
    pub consilium: Address,
    /// Name and creation code of each, in the order of their nonces.
    pub codes: [(&'static str, Bytes); 5],
}

impl Creations {
    /// The creations by an account whose next nonce is `nonce`.
    #[must_use]
    pub fn by(account: Address, nonce: u64, options: &DeployOptions) -> Self {
        let [registry, study_token, treasury, licences, consilium] = [0, 1, 2, 3, 4].map(|step| account.create(nonce + step));
        let stakes = (options.minimum_stake, options.unbonding_delay, options.probation, options.compensation_delay, consilium);
        let code = |bytecode: &[u8], arguments: Vec<u8>| Bytes::from([bytecode, &arguments].concat());
        let codes = [
            ("NodeRegistry", code(&NodeRegistry::BYTECODE, stakes.abi_encode_params())),
            ("StudyToken", code(&StudyToken::BYTECODE, (consilium,).abi_encode_params())),
            ("Treasury", code(&Treasury::BYTECODE, (consilium, licences, options.period_length).abi_encode_params())),
            ("Licences", code(&Licences::BYTECODE, (consilium, treasury).abi_encode_params())),
            (
                "Consilium",
                code(&Consilium::BYTECODE, (registry, study_token, treasury, options.dispute_time).abi_encode_params()),
            ),
        ];
        Self { registry, study_token, treasury, licences, consilium, codes }
    }
}

/// The hash of a study's immutable terms, as `createStudy` stores it.
#[must_use]
pub fn terms_hash(kind: u8, program: &str, parameters: &[u8]) -> B256 {
    let parameters = Bytes::copy_from_slice(parameters);
    keccak256((U256::from(kind), program.to_owned(), parameters).abi_encode_params())
}
