//! The embedded chain: bodies of JSON-RPC requests and raw transactions.

use super::fixed::DOMAIN;
use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718 as _;
use alloy::signers::{SignerSync as _, local::PrivateKeySigner};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use consilium_chain::{Chain, Genesis, MAX_BATCH, MAX_TRANSACTION_BYTES, Sequencer, decode_transaction};
use serde_json::Value;
use std::sync::OnceLock;

const NOW: u64 = 2_000;

/// Logs its caller, and reverts when it is called with data.
const CODE: [u8; 21] = [
    0x60, 0x0c, 0x60, 0x09, 0x3d, 0x39, 0x60, 0x0c, 0x3d, 0x36, 0x60, 0x08, 0x57, 0x33, 0x3d, 0x3d, 0xa1, 0x00, 0x5b, 0x3d, 0xfd,
];

pub(crate) fn signer(number: u8) -> PrivateKeySigner {
    format!("{number:064x}").parse().expect("small numbers are keys")
}

/// A signed transaction of account 1.
pub(crate) fn signed(nonce: u64, to: TxKind, input: Bytes) -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id: DOMAIN.chain_id,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 100,
        to,
        input,
        ..TxEip1559::default()
    };
    let signature = signer(1).sign_hash_sync(&transaction.signature_hash()).expect("a key signs");
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
}

/// A chain with a contract and a log, for every input the same.
fn chain() -> Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    let make = || {
        let accounts = (1..=3).map(|number| signer(number).address());
        let genesis = Genesis::new(DOMAIN.chain_id).fund(accounts, U256::from(10).pow(U256::from(18))).at(1_000);
        let mut chain = Chain::in_memory(&genesis);
        let contract = signer(1).address().create(0);
        for raw in [signed(0, TxKind::Create, CODE.into()), signed(1, contract.into(), Bytes::new())] {
            chain.submit(&raw, NOW).expect("account 1 is rich");
        }
        chain
    };
    CHAIN.get_or_init(make).fork()
}

pub(crate) fn request(body: &[u8]) {
    let sequencer = Sequencer::new(chain(), || NOW);
    let before = sequencer.chain().head().number();
    if let Some(answer) = sequencer.respond(body) {
        match serde_json::from_slice::<Value>(&answer).expect("an answer is JSON") {
            Value::Array(answers) => {
                assert!((1..=MAX_BATCH).contains(&answers.len()));
                answers.iter().for_each(is_answer);
            }
            one => is_answer(&one),
        }
    } else {
        // Nothing is due for notifications, and only for those.
        assert!(serde_json::from_slice::<Value>(body).is_ok());
    }
    let chain = sequencer.chain();
    assert!(chain.head().number() <= before + MAX_BATCH as u64);
    assert_eq!(chain.head().header.state_root, chain.state().root());
}

fn is_answer(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer.get("id").is_some());
    let (result, error) = (answer.get("result"), answer.get("error"));
    assert!(result.is_some() != error.is_some(), "{answer}");
    assert!(error.is_none_or(|error| error["code"].is_i64() && error["message"].is_string()), "{answer}");
}

pub(crate) fn transaction(raw: &[u8]) {
    let Ok(decoded) = decode_transaction(raw) else { return };
    assert!(raw.len() <= MAX_TRANSACTION_BYTES);
    assert_eq!(decoded.inner().encoded_2718(), raw, "a transaction has one form");
    let signer = decoded.inner().signature().recover_address_from_prehash(&decoded.inner().signature_hash());
    assert_eq!(signer.ok(), Some(decoded.signer()));
    assert!(decoded.inner().signature().normalize_s().is_none(), "a signature has one form");
    let mut chain = chain();
    let (before, nonce) = (chain.head().hash(), chain.state().nonce(decoded.signer()));
    match chain.submit(raw, NOW) {
        Ok(receipt) => {
            assert_eq!(receipt.from, decoded.signer());
            assert_eq!(chain.state().nonce(decoded.signer()), nonce + 1);
            assert_eq!(chain.head().header.state_root, chain.state().root());
            assert!(chain.submit(raw, NOW).is_err(), "a transaction counts once");
        }
        Err(_) => assert_eq!(chain.head().hash(), before, "a refusal changes nothing"),
    }
    assert_ne!(decoded.signer(), Address::ZERO);
}
