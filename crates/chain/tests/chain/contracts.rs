//! The real contracts, as they are committed for the ledger, deploy and answer.

use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use consilium_chain::{Chain, Rules};

use crate::fixtures::*;

fn bytecode(artefact: &str) -> Vec<u8> {
    let artefact: serde_json::Value = serde_json::from_str(artefact).unwrap();
    let code: Bytes = serde_json::from_value(artefact["bytecode"].clone()).unwrap();
    code.to_vec()
}

fn deploy(chain: &mut Chain, rules: Rules, nonce: u64, mut code: Vec<u8>, arguments: &[B256]) -> Address {
    for argument in arguments {
        code.extend_from_slice(argument.as_slice());
    }
    let tx = alloy::consensus::TxEip1559 {
        to: alloy_primitives::TxKind::Create,
        gas_limit: rules.transaction_gas_cap(),
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
fn the_committed_contracts_deploy_and_answer_under_both_rules() {
    Rules::ALL.into_iter().for_each(deploy_and_ask);
}

fn deploy_and_ask(rules: Rules) {
    let [registry_code, token_code, treasury_code, licences_code, sets_code, sum_code, budget_code, second_code, code] = [
        include_str!("../../../ledger/abi/NodeRegistry.json"),
        include_str!("../../../ledger/abi/StudyToken.json"),
        include_str!("../../../ledger/abi/Treasury.json"),
        include_str!("../../../ledger/abi/Licences.json"),
        include_str!("../../../ledger/abi/SetCourt.json"),
        include_str!("../../../ledger/abi/SumKind.json"),
        include_str!("../../../ledger/abi/PrivacyBudget.json"),
        include_str!("../../../ledger/abi/Sponsorship.json"),
        include_str!("../../../ledger/abi/Consilium.json"),
    ]
    .map(bytecode);
    let mut chain = Chain::in_memory(&genesis().under(rules));
    let word = |number: u64| B256::from(U256::from(number));
    // They name each other before they exist: each one's address follows from the sender's nonce.
    let [registry, token, treasury, licences, sets, sum, budget, second, consilium] =
        [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|nonce| key(1).address().create(nonce).into_word());
    let stakes = [word(5), word(6000), word(10), word(3000), word(9000), word(77), consilium];
    let purses = [consilium, licences, word(365 * 24 * 3600), word(77)];
    assert_eq!(deploy(&mut chain, rules, 0, registry_code, &stakes).into_word(), registry);
    assert_eq!(deploy(&mut chain, rules, 1, token_code, &[consilium]).into_word(), token);
    assert_eq!(deploy(&mut chain, rules, 2, treasury_code, &purses).into_word(), treasury);
    assert_eq!(deploy(&mut chain, rules, 3, licences_code, &[consilium, treasury, token]).into_word(), licences);
    assert_eq!(deploy(&mut chain, rules, 4, sets_code, &[consilium, registry]).into_word(), sets);
    assert_eq!(deploy(&mut chain, rules, 5, sum_code, &[consilium, registry]).into_word(), sum);
    assert_eq!(deploy(&mut chain, rules, 6, budget_code, &[consilium]).into_word(), budget);
    // Where the parts begin, and the rules; then the parts, of which the last is a list of one kind.
    let (dispute, window, pause, trial) = (word(2000), word(3600), word(1000), word(0));
    let parts = [registry, token, treasury, sets, budget, word(6 * 32), word(1), sum];
    let head = [word(5 * 32), dispute, window, pause, trial];
    let place = deploy(&mut chain, rules, 7, second_code, &[head.as_slice(), &parts].concat());
    assert_eq!(place.into_word(), second);
    // The second part of the code comes behind the rules.
    let head = [word(6 * 32), dispute, window, pause, trial, second];
    let place = deploy(&mut chain, rules, 8, code, &[head.as_slice(), &parts].concat());
    assert_eq!(place.into_word(), consilium);

    assert_eq!(view(&chain, Address::from_word(registry), "minimumStake()"), word(5));
    assert_eq!(view(&chain, Address::from_word(registry), "consilium()"), consilium);
    assert_eq!(view(&chain, place, "registry()"), registry);
    assert_eq!(view(&chain, place, "treasury()"), treasury);
    assert_eq!(view(&chain, place, "token()"), token);
    assert_eq!(view(&chain, place, "setCourt()"), sets);
    assert_eq!(view(&chain, place, "privacyBudget()"), budget);
    assert_eq!(view(&chain, place, "sponsorship()"), second);
    assert_eq!(view(&chain, place, "minimumWindow()"), word(3600));
    assert_eq!(view(&chain, place, "longestPause()"), word(1000));
    assert_eq!(view(&chain, place, "studies()"), B256::ZERO);
    // What the first part of the code does not have, the second answers.
    let configured = view(&chain, Address::from_word(second), "configuration()");
    assert!(!configured.is_zero() && view(&chain, place, "configuration()") == configured);
}
