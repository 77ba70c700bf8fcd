//! Gas under both sets of rules: what is estimated, paid, told by receipts and headers, and refused.

use alloy::{
    consensus::TxEip1559,
    rpc::types::{TransactionReceipt, TransactionRequest},
};
use alloy_primitives::{Address, TxKind, U256};
use consilium_chain::{
    BASE_FEE, CallError, Chain, Error, Location, Refusal, Rules, StoreError, TRANSACTION_GAS_CAP, decode_transaction,
};

use crate::fixtures::*;

/// Gas for a new slot, a new account and a byte of code under Amsterdam's rules (EIP-8037).
const NEW_SLOT: u64 = 64 * 1_530;
const NEW_ACCOUNT: u64 = 120 * 1_530;
const CODE_BYTE: u64 = 1_530;

fn chain_under(rules: Rules) -> Chain {
    Chain::in_memory(&genesis().under(rules))
}

fn head_gas(chain: &Chain) -> u64 {
    chain.head().header.gas_used
}

/// Sends what account 1 asks for with the gas that is estimated for it. Yields that and the receipt.
fn send_as_estimated(chain: &mut Chain, request: &TransactionRequest) -> (u64, TransactionReceipt) {
    let (nonce, number, now) = (chain.state().nonce(key(1).address()), chain.head().number(), chain.head().timestamp() + 1);
    let request = request.clone().from(key(1).address());
    let gas_limit = chain.estimate_gas(&request, number, now).unwrap();
    let to = request.to.unwrap_or(TxKind::Create);
    let (value, input) = (request.value.unwrap_or_default(), request.input.input().cloned().unwrap_or_default());
    let receipt = chain.submit(&sign(1, TxEip1559 { to, value, input, gas_limit, ..plain(nonce) }), now).unwrap();
    (gas_limit, receipt)
}

#[test]
fn an_estimate_is_enough_and_what_is_used_is_paid_under_both_rules() {
    for rules in Rules::ALL {
        let mut chain = chain_under(rules);
        let deploy = TransactionRequest::default().input(counter_code().into());
        let contract = key(1).address().create(0);
        let increment = TransactionRequest::default().to(contract).input(argument(INCREMENT).into());
        for request in [&deploy, &increment, &increment] {
            let before = chain.state().balance(key(1).address());
            let (estimate, receipt) = send_as_estimated(&mut chain, request);
            assert!(receipt.status(), "{rules:?}: {estimate} gas are not enough");
            assert!(estimate <= receipt.gas_used + receipt.gas_used / 20, "{rules:?}: {estimate} for {}", receipt.gas_used);
            let paid = before - chain.state().balance(key(1).address());
            assert_eq!(paid, U256::from(receipt.gas_used * BASE_FEE), "{rules:?}");
        }
        assert_eq!(chain.state().storage(contract, U256::ZERO), U256::from(2));
    }
}

#[test]
fn a_plain_transfer_needs_exactly_what_is_estimated_under_both_rules() {
    for rules in Rules::ALL {
        let mut chain = chain_under(rules);
        for to in [Address::repeat_byte(7), key(2).address()] {
            let mut fork = chain.fork();
            let request = TransactionRequest::default().to(to).value(U256::from(5));
            let (estimate, receipt) = send_as_estimated(&mut chain, &request);
            assert!(receipt.status() && receipt.gas_used == estimate, "{rules:?}: {estimate}");
            let nonce = fork.state().nonce(key(1).address());
            let short = TxEip1559 { to: to.into(), value: U256::from(5), gas_limit: estimate - 1, ..plain(nonce) };
            let short = fork.submit(&sign(1, short), 2_000);
            assert!(!short.is_ok_and(|receipt| receipt.status()), "{rules:?}: {estimate} - 1 is enough too");
        }
    }
}

#[test]
fn new_state_costs_what_eip_8037_says_and_the_header_tells_the_larger_kind_of_gas() {
    let mut chain = chain_under(Rules::Amsterdam);
    let receipt = chain.submit(&deployment(0, counter_code()), 1_001).unwrap();
    let contract = receipt.contract_address.unwrap();
    let state = NEW_ACCOUNT + chain.state().code(contract).len() as u64 * CODE_BYTE;
    assert!(receipt.status() && receipt.gas_used > state && receipt.gas_used < state + 50_000, "{receipt:?}");
    assert_eq!(head_gas(&chain), state);

    let first = chain.submit(&invoke(1, contract, INCREMENT), 1_002).unwrap();
    assert_eq!(head_gas(&chain), NEW_SLOT);
    let later = chain.submit(&invoke(2, contract, INCREMENT), 1_003).unwrap();
    assert_eq!(first.gas_used - later.gas_used, NEW_SLOT, "a used slot takes no gas for state");
    assert_eq!(head_gas(&chain), later.gas_used, "there is one kind of gas in it");

    let (mut today, contract) = with_counter();
    let receipt = today.submit(&invoke(1, contract, INCREMENT), 1_002).unwrap();
    assert_eq!(head_gas(&today), receipt.gas_used);
}

/// Puts the first word of its calldata into slot 0.
const KEEP: [u8; 5] = [0x5f, 0x35, 0x5f, 0x55, 0x00];

/// Deploys this very code, with the first transaction of its sender.
fn deploy_code(chain: &mut Chain, code: &[u8]) -> Address {
    let length = u8::try_from(code.len()).unwrap();
    let creation = [0x60, length, 0x60, 10, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
    chain.submit(&deployment(0, [&creation, code].concat()), 1_001).unwrap().contract_address.unwrap()
}

#[test]
fn a_refund_is_the_senders_and_under_the_next_rules_not_the_blocks() {
    let [today, next] = Rules::ALL.map(|rules| {
        let mut chain = chain_under(rules);
        let contract = deploy_code(&mut chain, &KEEP);
        chain.submit(&invoke(1, contract, 1), 1_002).unwrap();
        let cleared = chain.submit(&invoke(2, contract, 0), 1_003).unwrap();
        (head_gas(&chain), cleared.gas_used)
    });
    assert_eq!(today.0, today.1);
    // A fifth of what was used comes back (EIP-3529); the whole refund for a cleared slot would be more.
    assert_eq!(next.1, next.0 - next.0 / 5);
}

#[test]
fn the_floor_for_calldata_counts_as_execution_whatever_goes_to_new_state() {
    let mut chain = chain_under(Rules::Amsterdam);
    let contract = deploy_code(&mut chain, &KEEP);
    let mut input = argument(1).to_vec();
    input.resize(1_500, 0);
    // EIP-2780's start and reaching the contract, and 64 gas a byte (EIP-7976).
    let floor = 12_000 + 3_000 + 64 * input.len() as u64;
    let sent = sign(1, TxEip1559 { to: contract.into(), input: input.into(), ..plain(1) });
    let receipt = chain.submit(&sent, 1_002).unwrap();
    assert!(receipt.status() && floor > NEW_SLOT && receipt.gas_used > floor, "{receipt:?}");
    assert_eq!(head_gas(&chain), floor);
}

/// Counts down from the first word of its calldata, 26 gas a number.
const COUNTDOWN: [u8; 12] = [0x5f, 0x35, 0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 2, 0x57, 0x00];

#[test]
fn a_call_may_use_more_gas_than_a_transaction_and_an_estimate_says_that_none_is_enough() {
    for rules in Rules::ALL {
        let mut chain = chain_under(rules);
        let contract = deploy_code(&mut chain, &COUNTDOWN);
        let ask = |count: u64| TransactionRequest::default().to(contract).input(argument(count).into());
        let too_much = ask(TRANSACTION_GAS_CAP / 26);
        assert!(chain.call(&too_much, 1, 1_002).is_ok(), "{rules:?}");
        let estimate = chain.estimate_gas(&too_much, 1, 1_002);
        assert!(matches!(estimate, Err(CallError::NotEnoughGas { .. })), "{rules:?}: {estimate:?}");
        let (estimate, receipt) = send_as_estimated(&mut chain, &ask(TRANSACTION_GAS_CAP / 26 - 10_000));
        assert!(receipt.status() && estimate <= TRANSACTION_GAS_CAP, "{rules:?}: {estimate}");
    }
    // Under Amsterdam's rules such a transaction may be sent. It fails at the cap, and the rest of its gas is given back.
    let mut chain = chain_under(Rules::Amsterdam);
    let contract = deploy_code(&mut chain, &COUNTDOWN);
    let input = argument(TRANSACTION_GAS_CAP / 26);
    let sent = sign(1, TxEip1559 { to: contract.into(), input, gas_limit: 50_000_000, ..plain(1) });
    let receipt = chain.submit(&sent, 1_002).unwrap();
    assert!(!receipt.status());
    assert_eq!(receipt.gas_used, TRANSACTION_GAS_CAP);
}

#[test]
fn gas_for_new_state_is_beyond_the_cap_of_a_transaction() {
    let code_of = |length: u16| {
        let [high, low] = length.to_be_bytes();
        vec![0x61, high, low, 0x5f, 0xf3]
    };
    let mut chain = chain_under(Rules::Amsterdam);
    let (estimate, receipt) = send_as_estimated(&mut chain, &TransactionRequest::default().input(code_of(20_000).into()));
    assert!(receipt.status() && estimate > TRANSACTION_GAS_CAP, "{estimate}");
    assert_eq!(head_gas(&chain), NEW_ACCOUNT + 20_000 * CODE_BYTE);
    let all = TransactionRequest::default().input(code_of(65_535).into()).from(key(1).address());
    let estimate = chain.estimate_gas(&all, 1, 1_002);
    assert!(matches!(estimate, Err(CallError::NotEnoughGas { allowance: 100_000_000 })), "{estimate:?}");
}

#[test]
fn a_block_has_room_for_each_kind_of_gas_by_itself() {
    let whole = Rules::Amsterdam.block_gas_limit();
    let send = |who: u64, gas_limit: u64, to: Address| {
        let tx = TxEip1559 { to: to.into(), value: U256::ONE, gas_limit, ..plain(0) };
        decode_transaction(&sign(who, tx)).unwrap()
    };
    let (known, new) = (key(3).address(), Address::repeat_byte(7));

    let mut chain = chain_under(Rules::Amsterdam);
    let beside_state = chain.fork().append(vec![send(1, 1_000_000, new), send(2, whole, known)], 1_001);
    assert!(matches!(beside_state.unwrap_err(), Error::Refused(Refusal::GasAboveBlock)));
    let larger = chain.fork().append(vec![send(1, whole + 1, known)], 1_001);
    assert!(matches!(larger.unwrap_err(), Error::Refused(Refusal::GasAboveBlock)));

    // The first makes no state, so that a second one may be wholly of it.
    let block = chain.append(vec![send(1, 1_000_000, known), send(2, whole, new)], 1_001).unwrap();
    let gas: Vec<u64> = chain.receipts(&block).iter().map(|receipt| receipt.gas_used).collect();
    assert_eq!(gas[1] - gas[0], NEW_ACCOUNT);
    assert_eq!(head_gas(&chain), NEW_ACCOUNT, "more than what both took for everything else");
}

#[test]
fn what_a_block_has_left_for_execution_bounds_a_transaction_up_to_the_cap() {
    let mut chain = chain_under(Rules::Amsterdam);
    let contract = deploy_counter(&mut chain);
    let spend = |nonce: u64, gas_limit: u64| {
        let input = argument(BROKEN);
        decode_transaction(&sign(1, TxEip1559 { to: contract.into(), input, gas_limit, ..plain(nonce) })).unwrap()
    };
    let spent = |times: u64| (1..=times).map(|nonce| spend(nonce, TRANSACTION_GAS_CAP)).collect::<Vec<_>>();
    let then = |times: u64, gas_limit: u64| {
        let mut fork = chain.fork();
        let block = fork.append([spent(times), vec![spend(times + 1, gas_limit)]].concat(), 1_002);
        block.map(|_| head_gas(&fork))
    };
    let whole = Rules::Amsterdam.block_gas_limit();
    let left = whole - 5 * TRANSACTION_GAS_CAP;
    assert!(left < TRANSACTION_GAS_CAP);
    assert_eq!(then(5, left).unwrap(), whole);
    for above in [left + 1, TRANSACTION_GAS_CAP, whole] {
        assert!(matches!(then(5, above).unwrap_err(), Error::Refused(Refusal::GasAboveBlock)), "{above}");
    }
    // There is less left than its limit, and enough for the most that it may use.
    assert_eq!(then(4, whole).unwrap(), 5 * TRANSACTION_GAS_CAP);
}

#[test]
fn a_folder_is_opened_under_the_rules_that_it_was_made_under_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let open = |rules| Chain::open(&genesis().under(rules), Location::Folder(folder.path().into()));
    let mut chain = open(Rules::Amsterdam).unwrap();
    let contract = deploy_counter(&mut chain);
    let before = chain.submit(&invoke(1, contract, INCREMENT), 1_002).unwrap();
    drop(chain);
    assert!(matches!(open(Rules::Osaka).unwrap_err(), StoreError::OtherChain { .. }));
    let mut chain = open(Rules::Amsterdam).unwrap();
    assert_eq!((chain.receipt(&before.transaction_hash), head_gas(&chain)), (Some(before.clone()), NEW_SLOT));
    let later = chain.submit(&invoke(2, contract, INCREMENT), 1_003).unwrap();
    assert_eq!(before.gas_used - later.gas_used, NEW_SLOT);
}
