//! The real contracts, as they are committed for the ledger, deploy and answer.

use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use consilium_chain::{Chain, TRANSACTION_GAS_CAP};

use crate::fixtures::*;

fn bytecode(artefact: &str) -> Vec<u8> {
    let artefact: serde_json::Value = serde_json::from_str(artefact).unwrap();
    let code: Bytes = serde_json::from_value(artefact["bytecode"].clone()).unwrap();
    code.to_vec()
}

fn deploy(chain: &mut Chain, nonce: u64, mut code: Vec<u8>, arguments: &[B256]) -> Address {
    for argument in arguments {
        code.extend_from_slice(argument.as_slice());
    }
    let tx = alloy::consensus::TxEip1559 {
        to: alloy_primitives::TxKind::Create,
        gas_limit: TRANSACTION_GAS_CAP,
        input: code.into(),
        ..plain(nonce)
    };
    let receipt = chain.submit(&sign(1, tx), 2_000 + nonce).unwrap();
    assert!(receipt.status(), "deployment {nonce} failed");
    receipt.contract_address.unwrap()
}

fn view(chain: &Chain, contract: Address, signature: &str) -> B256 {
    let selector = Bytes::copy_from_slice(&keccak256(signature)[..4]);
    let request = TransactionRequest::default().to(contract).input(selector.into());
    let output = chain.call(&request, chain.head().number(), 0).unwrap();
    B256::from_slice(&output[..32])
}

#[test]
fn the_committed_contracts_deploy_and_answer() {
    let registry = bytecode(include_str!("../../../ledger/abi/NodeRegistry.json"));
    let consilium = bytecode(include_str!("../../../ledger/abi/Consilium.json"));
    let mut chain = chain();
    let stake = B256::from(U256::from(5));
    // The registry must name its court before the court exists: the sender's second deployment.
    let court = key(1).address().create(1).into_word();
    let delay = B256::from(U256::from(60));
    let registry = deploy(&mut chain, 0, registry, &[stake, delay, court]);
    let consilium = deploy(&mut chain, 1, consilium, &[registry.into_word()]);
    assert_eq!(view(&chain, registry, "minimumStake()"), stake);
    assert_eq!(view(&chain, registry, "court()"), court);
    assert_eq!(consilium.into_word(), court);
    assert_eq!(view(&chain, consilium, "registry()"), registry.into_word());
    assert_eq!(view(&chain, consilium, "studies()"), B256::ZERO);
}
