//! What blocks contain, and that the same transactions give the same hashes.

use alloy::{
    consensus::{TxEip1559, TxEip7702, proofs::state_root_unhashed},
    rpc::types::TransactionRequest,
};
use alloy_primitives::{Address, B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use consilium_chain::{
    BASE_FEE, CallError, Chain, Error, Genesis, MAX_TRANSACTION_BYTES, Refusal, STATES_KEPT, decode_transaction,
};

use crate::fixtures::*;

fn refusal(result: Result<impl std::fmt::Debug, Error>) -> Refusal {
    match result.unwrap_err() {
        Error::Refused(refusal) => refusal,
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn a_transfer_moves_money_and_burns_the_fee() {
    let mut chain = chain();
    let (alice, bob) = (key(1).address(), Address::repeat_byte(7));
    let receipt = chain.submit(&transfer(0, bob, ether(3)), 1_001).unwrap();
    assert!(receipt.status());
    assert_eq!((receipt.gas_used, receipt.effective_gas_price), (21_000, BASE_FEE.into()));
    assert_eq!(chain.state().balance(bob), ether(3));
    let fee = U256::from(21_000 * BASE_FEE);
    assert_eq!(chain.state().balance(alice), ether(997) - fee);
    assert_eq!(chain.state().nonce(alice), 1);
}

#[test]
fn the_state_root_is_that_of_an_independent_builder() {
    let mut chain = chain();
    let bob = Address::repeat_byte(7);
    chain.submit(&transfer(0, bob, ether(3)), 1_001).unwrap();
    let accounts = [key(1).address(), key(2).address(), key(3).address(), bob].map(|who| {
        let (nonce, balance) = (chain.state().nonce(who), chain.state().balance(who));
        (who, TrieAccount::new(nonce, balance, EMPTY_ROOT_HASH, KECCAK_EMPTY))
    });
    assert_eq!(chain.head().header.state_root, state_root_unhashed(accounts));
}

#[test]
fn the_same_transactions_give_the_same_hashes_and_others_do_not() {
    let run = |value: u64| {
        let (mut chain, contract) = with_counter();
        chain.submit(&invoke(1, contract, INCREMENT), 1_002).unwrap();
        chain.submit(&transfer(2, Address::repeat_byte(8), U256::from(value)), 1_003).unwrap();
        chain
    };
    let (one, two, other) = (run(5), run(5), run(6));
    assert_eq!(one.head().hash(), two.head().hash());
    assert_eq!(one.block(2).unwrap().hash(), other.block(2).unwrap().hash());
    assert_ne!(one.head().header.state_root, other.head().header.state_root);
    let roots: Vec<_> = (0..=3).map(|n| one.block(n).unwrap().header.state_root).collect();
    assert!(roots.windows(2).all(|pair| pair[0] != pair[1]));
}

/// Frozen: a change here means that folders and light clients of earlier versions no longer agree.
#[test]
fn known_hashes() {
    let (mut chain, contract) = with_counter();
    chain.submit(&invoke(1, contract, INCREMENT), 1_002).unwrap();
    let hashes: Vec<_> = (0..=2).map(|n| chain.block(n).unwrap().hash().to_string()).collect();
    assert_eq!(hashes.join("\n"), include_str!("known_hashes.txt").trim());
}

#[test]
fn contracts_keep_state_and_log() {
    let (mut chain, contract) = with_counter();
    for count in 1..=3u64 {
        let receipt = chain.submit(&invoke(count, contract, INCREMENT), 1_001 + count).unwrap();
        let [log] = receipt.logs() else { panic!("one log") };
        assert_eq!(log.topics()[1], B256::from(U256::from(count)));
        assert_eq!(log.block_hash, Some(chain.head().hash()));
        assert_eq!((log.log_index, log.transaction_index), (Some(0), Some(0)));
    }
    assert_eq!(chain.state().storage(contract, U256::ZERO), U256::from(3));
    let read = TransactionRequest::default().to(contract).input(argument(READ).into());
    assert_eq!(chain.call(&read, 4, 0).unwrap(), argument(3));
}

#[test]
fn a_revert_is_in_the_chain_and_costs_but_changes_nothing() {
    let (mut chain, contract) = with_counter();
    let receipt = chain.submit(&invoke(1, contract, REVERT), 1_002).unwrap();
    assert!(!receipt.status());
    assert!(receipt.gas_used > 21_000 && receipt.gas_used < 30_000);
    let receipt = chain.submit(&invoke(2, contract, BROKEN), 1_003).unwrap();
    assert!(!receipt.status());
    assert_eq!(receipt.gas_used, 1_000_000);
    assert_eq!(chain.state().storage(contract, U256::ZERO), U256::ZERO);
}

#[test]
fn calls_tell_reverts_from_halts() {
    let (chain, contract) = with_counter();
    let ask = |word| TransactionRequest::default().to(contract).input(argument(word).into());
    let Err(CallError::Reverted { output }) = chain.call(&ask(REVERT), 1, 0) else { panic!() };
    assert_eq!(output.as_ref(), [0xde, 0xad, 0xbe, 0xef]);
    assert!(matches!(chain.call(&ask(BROKEN), 1, 0), Err(CallError::Halted { .. })));
    assert!(matches!(chain.estimate_gas(&ask(REVERT), 1, 0), Err(CallError::Reverted { .. })));
}

#[test]
fn a_call_at_the_head_sees_the_time_that_is_given() {
    let (mut chain, contract) = with_counter();
    chain.mine_empty(1_005).unwrap();
    let ask = TransactionRequest::default().to(contract).input(argument(TIME).into());
    assert_eq!(chain.call(&ask, 2, 9_999).unwrap(), argument(9_999));
    assert_eq!(chain.call(&ask, 2, 3).unwrap(), argument(1_005), "never before the head");
    assert_eq!(chain.call(&ask, 1, 9_999).unwrap(), argument(1_001), "history keeps its time");
}

#[test]
fn an_estimate_is_enough_and_not_much_more() {
    let (mut chain, contract) = with_counter();
    let from = key(1).address();
    let ask = TransactionRequest::default().from(from).to(contract);
    let ask = ask.input(argument(INCREMENT).into());
    let estimate = chain.estimate_gas(&ask, 1, 1_002).unwrap();
    let tx = TxEip1559 { to: contract.into(), gas_limit: estimate, ..plain(1) };
    let receipt = chain.submit(&sign(1, tx), 1_002).unwrap();
    assert!(receipt.status());
    assert!(estimate <= receipt.gas_used + receipt.gas_used / 20, "{estimate}");
    let transfer = TransactionRequest::default().from(from).to(Address::repeat_byte(7));
    assert_eq!(chain.estimate_gas(&transfer, 2, 0).unwrap(), 21_000);
}

#[test]
fn all_transaction_types_of_wallets_are_taken() {
    let mut chain = chain();
    chain.submit(&legacy(0, Some(CHAIN_ID)), 1_001).unwrap();
    chain.submit(&access_list(1), 1_002).unwrap();
    chain.submit(&transfer(2, Address::repeat_byte(7), U256::ONE), 1_003).unwrap();
    assert_eq!(chain.head().number(), 3);
}

#[test]
fn refusals_name_the_reason_and_change_nothing() {
    let mut chain = chain();
    let sent = transfer(0, Address::repeat_byte(7), U256::ONE);
    chain.submit(&sent, 1_001).unwrap();
    let before = chain.head().hash();
    let mut refuse = |raw: &[u8], words: &str| {
        let refusal = refusal(chain.submit(raw, 1_002));
        assert!(refusal.to_string().contains(words), "{refusal} is not about {words:?}");
    };
    refuse(&sent, "already known");
    refuse(&sign(1, TxEip1559 { value: U256::from(2), ..plain(0) }), "nonce too low: next nonce 1");
    refuse(&sign(1, plain(5)), "nonce too high: next nonce 1, tx nonce 5");
    refuse(&sign(1, TxEip1559 { chain_id: 1, ..plain(1) }), "have 1 want 31337");
    refuse(&sign(1, TxEip1559 { value: ether(9_999), ..plain(1) }), "insufficient funds for gas");
    refuse(&sign(9, plain(0)), "insufficient funds for gas");
    refuse(&sign(1, TxEip1559 { max_fee_per_gas: 1, ..plain(1) }), "less than block base fee");
    refuse(&sign(1, TxEip1559 { gas_limit: 20_000, ..plain(1) }), "intrinsic gas too low");
    refuse(&sign(1, TxEip1559 { gas_limit: 17_000_000, ..plain(1) }), "gas limit too high");
    refuse(&sign(1, TxEip1559 { gas_limit: 90_000_000, ..plain(1) }), "exceeds block gas limit");
    refuse(&sign(1, TxEip1559 { max_priority_fee_per_gas: 101, ..plain(1) }), "max priority fee per gas higher");
    refuse(&legacy(1, None), "replay-protected");
    refuse(&deployment(1, vec![0; 50_000]), "initcode");
    refuse(&vec![2; MAX_TRANSACTION_BYTES + 1], "oversized data");
    let set_code = TxEip7702 { chain_id: CHAIN_ID, nonce: 1, ..TxEip7702::default() };
    refuse(&sign(1, set_code), "transaction type not supported: 4");
    refuse(&[], "cannot decode");
    refuse(&sent[..40], "cannot decode");
    refuse(&[sent.as_slice(), &[0]].concat(), "cannot decode");
    assert_eq!(chain.head().hash(), before);
}

#[test]
fn the_other_signature_of_a_transaction_is_refused() {
    use alloy::consensus::{SignableTransaction, TxEnvelope};
    use alloy::{eips::Encodable2718, signers::SignerSync};
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16);
    let tx = plain(0);
    let good = key(1).sign_hash_sync(&tx.signature_hash()).unwrap();
    let twin = alloy_primitives::Signature::new(good.r(), order.unwrap() - good.s(), !good.v());
    let raw = TxEnvelope::from(tx.into_signed(twin)).encoded_2718();
    assert_eq!(decode_transaction(&raw), Err(Refusal::BadSignature));
}

#[test]
fn time_does_not_run_backwards() {
    let mut chain = chain();
    chain.mine_empty(2_000).unwrap();
    chain.mine_empty(2_000).unwrap();
    assert!(matches!(chain.mine_empty(1_999), Err(Error::TimeWentBack { parent: 2_000, .. })));
}

#[test]
fn several_transactions_share_a_block() {
    let (mut chain, contract) = with_counter();
    let list = (1..=3).map(|nonce| decode_transaction(&invoke(nonce, contract, INCREMENT)).unwrap());
    let block = chain.append(list.collect(), 1_002).unwrap();
    let receipts = chain.receipts(&block);
    assert_eq!(receipts.len(), 3);
    let total: u64 = receipts.iter().map(|receipt| receipt.gas_used).sum();
    assert_eq!(total, block.header.gas_used);
    assert_eq!(receipts[2].logs()[0].log_index, Some(2));
    // One bad transaction, and none of them is in.
    let good = decode_transaction(&invoke(4, contract, INCREMENT)).unwrap();
    let bad = decode_transaction(&invoke(9, contract, INCREMENT)).unwrap();
    assert!(chain.append(vec![good, bad], 1_003).is_err());
    assert_eq!(chain.head().hash(), block.hash());
}

#[test]
fn a_fork_goes_its_own_way() {
    let (mut chain, contract) = with_counter();
    let twin = chain.fork();
    for nonce in 1..=3 {
        chain.submit(&invoke(nonce, contract, INCREMENT), 1_001 + nonce).unwrap();
    }
    let mut fork = chain.fork_at(2).unwrap();
    assert_eq!(fork.head().hash(), chain.block(2).unwrap().hash());
    assert_eq!(fork.state().storage(contract, U256::ZERO), U256::ONE);
    // What was in the blocks that are gone may come again, in other blocks.
    let receipt = fork.submit(&invoke(2, contract, INCREMENT), 5_000).unwrap();
    assert_eq!(receipt.block_number, Some(3));
    assert_ne!(fork.head().hash(), chain.block(3).unwrap().hash());
    assert_eq!(fork.state().root(), chain.state_at(3).unwrap().root());
    assert_eq!(chain.state().storage(contract, U256::ZERO), U256::from(3));
    assert_eq!(twin.head().number(), 1);
    assert!(fork.transaction(&chain.head().included[0].transaction.tx_hash().to_owned()).is_none());
}

#[test]
fn old_states_are_refused_and_not_guessed() {
    let mut chain = chain();
    for second in 0..(STATES_KEPT as u64 + 5) {
        chain.mine_empty(1_000 + second).unwrap();
    }
    assert!(chain.state_at(6).is_ok());
    let error = chain.state_at(5).unwrap_err();
    assert!(error.to_string().contains("not available"), "{error}");
    assert!(chain.fork_at(5).is_err());
    assert!(matches!(chain.fork_at(999), Err(Error::NoSuchBlock { .. })));
    let mut fork = chain.fork_at(6).unwrap();
    fork.mine_empty(9_000).unwrap();
    assert!(fork.state_at(6).is_ok());
}

#[test]
fn genesis_names_the_chain() {
    let hash = |genesis: Genesis| Chain::in_memory(&genesis).head().hash();
    assert_ne!(hash(Genesis::new(1)), hash(Genesis::new(2)));
    assert_ne!(hash(Genesis::new(1)), hash(Genesis::new(1).at(1)));
    assert_ne!(hash(Genesis::new(1)), hash(Genesis::new(1).fund([Address::ZERO], U256::ONE)));
    assert_eq!(hash(Genesis::new(1)), hash(Genesis::new(1).fund([Address::ZERO], U256::ZERO)));
}
