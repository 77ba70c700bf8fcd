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
}

pub use generated::{Consilium, IConsilium, INodeRegistry, NodeRegistry};

use alloy::sol_types::SolValue;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

/// Creation code of the registry, whose court must be the address that `Consilium` will have.
#[must_use]
pub fn registry_creation(minimum_stake: U256, unbonding_delay: u64, court: Address) -> Bytes {
    let arguments = (minimum_stake, unbonding_delay, court).abi_encode_params();
    [&NodeRegistry::BYTECODE[..], &arguments].concat().into()
}

/// Creation code of Consilium over a registry.
#[must_use]
pub fn consilium_creation(registry: Address) -> Bytes {
    [&Consilium::BYTECODE[..], &(registry,).abi_encode_params()].concat().into()
}

/// The hash of a study's immutable terms, as `createStudy` stores it.
#[must_use]
pub fn terms_hash(kind: u8, program: &str, parameters: &[u8]) -> B256 {
    let parameters = Bytes::copy_from_slice(parameters);
    keccak256((U256::from(kind), program.to_owned(), parameters).abi_encode_params())
}
