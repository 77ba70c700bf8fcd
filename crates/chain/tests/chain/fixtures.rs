//! Accounts, transactions and one small contract.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy},
    eips::Encodable2718,
    rpc::types::TransactionReceipt,
    signers::{SignerSync, local::PrivateKeySigner},
};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use consilium_chain::{Chain, Genesis};

pub(crate) const CHAIN_ID: u64 = 31337;

pub(crate) fn key(number: u64) -> PrivateKeySigner {
    format!("{number:064x}").parse().unwrap()
}

pub(crate) fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

/// Accounts 1, 2 and 3 are rich.
pub(crate) fn genesis() -> Genesis {
    Genesis::new(CHAIN_ID).fund((1..=3).map(|n| key(n).address()), ether(1000)).at(1_000)
}

pub(crate) fn chain() -> Chain {
    Chain::in_memory(&genesis())
}

/// A transaction of account 1 that does nothing but can be changed.
pub(crate) fn plain(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 1_000_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 0,
        to: Address::repeat_byte(7).into(),
        ..TxEip1559::default()
    }
}

pub(crate) fn sign<T: SignableTransaction<Signature>>(who: u64, tx: T) -> Vec<u8>
where
    TxEnvelope: From<alloy::consensus::Signed<T>>,
{
    let signature = key(who).sign_hash_sync(&tx.signature_hash()).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718()
}

pub(crate) fn transfer(nonce: u64, to: Address, value: U256) -> Vec<u8> {
    sign(1, TxEip1559 { to: to.into(), value, gas_limit: 21_000, ..plain(nonce) })
}

pub(crate) fn invoke(nonce: u64, contract: Address, word: u64) -> Vec<u8> {
    let input = argument(word);
    sign(1, TxEip1559 { to: contract.into(), input, ..plain(nonce) })
}

pub(crate) fn argument(word: u64) -> Bytes {
    U256::from(word).to_be_bytes::<32>().into()
}

pub(crate) fn deployment(nonce: u64, code: Vec<u8>) -> Vec<u8> {
    sign(1, TxEip1559 { to: TxKind::Create, input: code.into(), ..plain(nonce) })
}

pub(crate) fn legacy(nonce: u64, chain_id: Option<u64>) -> Vec<u8> {
    let to = Address::repeat_byte(9).into();
    let tx = TxLegacy { chain_id, nonce, gas_price: 50, gas_limit: 21_000, to, ..TxLegacy::default() };
    sign(1, tx)
}

pub(crate) fn access_list(nonce: u64) -> Vec<u8> {
    let to = Address::repeat_byte(9).into();
    let (chain_id, gas_price, gas_limit) = (CHAIN_ID, 50, 30_000);
    sign(1, TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, ..TxEip2930::default() })
}

/// Actions of the counter contract, chosen by the first word of the calldata.
pub(crate) const INCREMENT: u64 = 0;
pub(crate) const READ: u64 = 1;
pub(crate) const REVERT: u64 = 2;
pub(crate) const TIME: u64 = 3;
pub(crate) const BROKEN: u64 = 9;

/// Topic 0 of the counter's log; topic 1 is the new count.
pub(crate) const TOPIC: u8 = 0x11;

/// Init code of a contract that counts in slot 0 and logs, reads, reverts with `deadbeef`, tells the
/// time of its block, or runs into an invalid instruction.
pub(crate) fn counter_code() -> Vec<u8> {
    let bodies: [&[u8]; 4] = [
        // count += 1; log(TOPIC, count)
        &[0x5b, 0x5f, 0x54, 0x60, 1, 0x01, 0x80, 0x5f, 0x55, 0x60, TOPIC, 0x5f, 0x5f, 0xa2, 0x00],
        &[0x5b, 0x5f, 0x54, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
        &[0x5b, 0x63, 0xde, 0xad, 0xbe, 0xef, 0x5f, 0x52, 0x60, 4, 0x60, 0x1c, 0xfd],
        &[0x5b, 0x42, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
    ];
    let mut runtime = vec![0x5f, 0x35];
    let mut target = runtime.len() + bodies.len() * 7 + 1;
    for (action, body) in bodies.iter().enumerate() {
        runtime.extend([0x80, 0x60, action as u8, 0x14, 0x60, target as u8, 0x57]);
        target += body.len();
    }
    runtime.push(0xfe);
    runtime.extend(bodies.concat());
    let length = runtime.len() as u8;
    let mut code = vec![0x60, length, 0x60, 10, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
    code.extend(runtime);
    code
}

/// A chain whose block 1 deployed the counter.
pub(crate) fn with_counter() -> (Chain, Address) {
    let mut chain = chain();
    let contract = deploy_counter(&mut chain);
    (chain, contract)
}

pub(crate) fn deploy_counter(chain: &mut Chain) -> Address {
    let receipt: TransactionReceipt = chain.submit(&deployment(0, counter_code()), 1_001).unwrap();
    assert!(receipt.status());
    receipt.contract_address.unwrap()
}
