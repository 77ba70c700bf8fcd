//! JSON-RPC as bytes: shapes, codes and messages that clients rely on.

use alloy::{consensus::BlockHeader as _, rpc::types::Block};
use alloy_primitives::{Address, hex};
use consilium_chain::{MAX_BATCH, Sequencer};
use serde_json::{Value, json};

use crate::fixtures::*;

fn sequencer() -> (Sequencer, Address) {
    let (chain, contract) = with_counter();
    (Sequencer::new(chain, || 2_000), contract)
}

fn ask(sequencer: &Sequencer, method: &str, params: Value) -> Value {
    sequencer.request(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
}

fn code(sequencer: &Sequencer, body: impl AsRef<[u8]>) -> i64 {
    let answer: Value = serde_json::from_slice(&sequencer.respond(body.as_ref()).unwrap()).unwrap();
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error in {answer}"))
}

fn send(sequencer: &Sequencer, raw: &[u8]) -> Value {
    ask(sequencer, "eth_sendRawTransaction", json!([hex::encode_prefixed(raw)]))
}

#[test]
fn fixed_answers() {
    let (chain, _) = sequencer();
    for (method, answer) in [
        ("eth_chainId", json!("0x7a69")),
        ("net_version", json!("31337")),
        ("eth_blockNumber", json!("0x1")),
        ("eth_syncing", json!(false)),
        ("eth_accounts", json!([])),
        ("eth_gasPrice", json!("0x7")),
        ("eth_maxPriorityFeePerGas", json!("0x0")),
    ] {
        assert_eq!(ask(&chain, method, json!([])), answer, "{method}");
    }
    let version = ask(&chain, "web3_clientVersion", Value::Null);
    assert!(version.as_str().unwrap().starts_with("consilium-chain/"));
}

#[test]
fn headers_hash_to_the_hash_they_are_served_with() {
    let (chain, contract) = sequencer();
    send(&chain, &invoke(1, contract, INCREMENT));
    let mut parent = None;
    for number in ["0x0", "0x1", "latest"] {
        let block = ask(&chain, "eth_getBlockByNumber", json!([number, true]));
        let block: Block = serde_json::from_value(block).unwrap();
        assert_eq!(block.header.inner.hash_slow(), block.header.hash);
        if let Some(parent) = parent {
            assert_eq!(block.header.parent_hash(), parent);
        }
        parent = Some(block.header.hash);
        let again = ask(&chain, "eth_getBlockByHash", json!([block.header.hash, true]));
        assert_eq!(serde_json::from_value::<Block>(again).unwrap(), block);
    }
}

#[test]
fn blocks_transactions_and_receipts() {
    let (chain, contract) = sequencer();
    let hash = send(&chain, &invoke(1, contract, INCREMENT));
    let block = ask(&chain, "eth_getBlockByNumber", json!(["0x2", false]));
    assert_eq!(block["transactions"], json!([hash]));
    assert_eq!(block["timestamp"], "0x7d0");
    let full = ask(&chain, "eth_getBlockByNumber", json!(["finalized", true]));
    let transaction = ask(&chain, "eth_getTransactionByHash", json!([hash]));
    assert_eq!(full["transactions"], json!([transaction]));
    assert_eq!(transaction["from"], json!(key(1).address()));
    let receipt = ask(&chain, "eth_getTransactionReceipt", json!([hash]));
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x2")));
    assert_eq!(receipt["logs"][0]["address"], json!(contract));
    assert_eq!(ask(&chain, "eth_getBlockReceipts", json!(["latest"])), json!([receipt]));
    let sync = hex::encode_prefixed(invoke(2, contract, INCREMENT));
    let receipt = ask(&chain, "eth_sendRawTransactionSync", json!([sync]));
    assert_eq!(receipt["blockNumber"], "0x3");
}

#[test]
fn what_is_not_there_is_null() {
    let (chain, _) = sequencer();
    let nothing = format!("0x{:064x}", 5);
    assert_eq!(ask(&chain, "eth_getBlockByNumber", json!(["0x99", false])), Value::Null);
    for method in ["eth_getBlockByHash", "eth_getTransactionByHash", "eth_getTransactionReceipt"] {
        assert_eq!(ask(&chain, method, json!([nothing])), Value::Null, "{method}");
    }
}

#[test]
fn accounts() {
    let (chain, contract) = sequencer();
    send(&chain, &invoke(1, contract, INCREMENT));
    let alice = key(1).address();
    assert_eq!(ask(&chain, "eth_getTransactionCount", json!([alice, "pending"])), "0x2");
    assert_eq!(ask(&chain, "eth_getTransactionCount", json!([alice, "0x1"])), "0x1");
    assert_eq!(ask(&chain, "eth_getTransactionCount", json!([alice, "earliest"])), "0x0");
    let balance = ask(&chain, "eth_getBalance", json!([key(2).address()]));
    assert_eq!(balance, "0x3635c9adc5dea00000");
    assert!(ask(&chain, "eth_getCode", json!([contract])).as_str().unwrap().starts_with("0x5f35"));
    assert_eq!(ask(&chain, "eth_getCode", json!([alice, "latest"])), "0x");
    let one = format!("0x{:064x}", 1);
    for slot in ["0x0", &format!("0x{:064x}", 0)] {
        assert_eq!(ask(&chain, "eth_getStorageAt", json!([contract, slot, "latest"])), json!(one));
    }
    let by_hash = chain.chain().block(1).unwrap().hash();
    let then = ask(&chain, "eth_getStorageAt", json!([contract, "0x0", {"blockHash": by_hash}]));
    assert_eq!(then, format!("0x{:064x}", 0));
}

#[test]
fn reverts_carry_their_data() {
    let (chain, contract) = sequencer();
    let call = json!({"to": contract, "data": argument(REVERT)});
    for method in ["eth_call", "eth_estimateGas"] {
        let error = chain.request(method, json!([call, "latest"])).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (3, "execution reverted"));
        assert_eq!(error.data, Some(json!("0xdeadbeef")));
    }
    let call = json!({"to": contract, "data": argument(BROKEN)});
    assert_eq!(chain.request("eth_call", json!([call, "latest"])).unwrap_err().code, -32000);
}

#[test]
fn solidity_reasons_are_in_the_message() {
    // Init code that reverts with Error("no"): copy the 100 bytes behind it and revert with them.
    let error = hex::decode("08c379a0").unwrap();
    let mut code = hex::decode("6064600a5f3960645ffd").unwrap();
    code.extend(error);
    code.extend(argument(32));
    code.extend(argument(2));
    code.extend(b"no");
    code.extend([0; 30]);
    let (chain, _) = sequencer();
    let call = json!({"data": hex::encode_prefixed(code)});
    let error = chain.request("eth_call", json!([call])).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (3, "execution reverted: no"));
}

#[test]
fn calls_may_come_from_anyone_and_offer_no_fee() {
    let (chain, contract) = sequencer();
    let call = json!({"from": contract, "to": contract, "data": argument(READ), "nonce": "0x63"});
    let answer = ask(&chain, "eth_call", json!([call, "latest", {}, null]));
    assert_eq!(answer, format!("0x{:064x}", 0));
    let poor = json!({"from": contract, "to": contract, "value": "0x1"});
    let error = chain.request("eth_call", json!([poor])).unwrap_err();
    assert!(error.message.contains("insufficient funds"), "{error}");
}

#[test]
fn fee_history_has_the_lengths_that_clients_index() {
    let (chain, _) = sequencer();
    let history = ask(&chain, "eth_feeHistory", json!(["0xa", "latest", [20.0, 50.0]]));
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
    assert_eq!(history["reward"], json!([["0x0", "0x0"], ["0x0", "0x0"]]));
    assert_eq!(chain.request("eth_feeHistory", json!([1, "0x63"])).unwrap_err().code, -32000);
}

#[test]
fn logs_are_found_by_range_address_topic_and_block() {
    let (chain, contract) = sequencer();
    for nonce in 1..=3 {
        send(&chain, &invoke(nonce, contract, INCREMENT));
    }
    let count = |filter: Value| ask(&chain, "eth_getLogs", json!([filter])).as_array().unwrap().len();
    let word = |n: u64| format!("0x{n:064x}");
    let all = json!({"fromBlock": "earliest"});
    assert_eq!(count(all), 3);
    assert_eq!(count(json!({})), 1, "the default is the latest block");
    assert_eq!(count(json!({"fromBlock": "0x2", "toBlock": "0x3"})), 2);
    assert_eq!(count(json!({"fromBlock": "0x0", "toBlock": "0x99"})), 3);
    let from = |extra: Value| {
        let mut filter = json!({"fromBlock": "0x0"});
        filter.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        filter
    };
    let other = Address::repeat_byte(3);
    assert_eq!(count(from(json!({"address": contract}))), 3);
    assert_eq!(count(from(json!({"address": [other, contract]}))), 3);
    assert_eq!(count(from(json!({"address": other}))), 0);
    assert_eq!(count(from(json!({"topics": [word(TOPIC.into())]}))), 3);
    assert_eq!(count(from(json!({"topics": [null, word(2)]}))), 1);
    assert_eq!(count(from(json!({"topics": [null, [word(2), word(3)]]}))), 2);
    assert_eq!(count(from(json!({"topics": [word(1)]}))), 0);
    assert_eq!(count(from(json!({"topics": [null, null, word(2)]}))), 0);
    let hash = chain.chain().block(3).unwrap().hash();
    assert_eq!(count(json!({"blockHash": hash})), 1);
    let error = |filter: Value| chain.request("eth_getLogs", json!([filter])).unwrap_err().code;
    assert_eq!(error(json!({"fromBlock": "0x3", "toBlock": "0x2"})), -32602);
    assert_eq!(error(json!({"blockHash": word(1)})), -32000);
}

#[test]
fn error_codes() {
    let (chain, contract) = sequencer();
    assert_eq!(code(&chain, "{"), -32700);
    assert_eq!(code(&chain, ""), -32700);
    assert_eq!(code(&chain, b"\xff\xfe"), -32700);
    assert_eq!(code(&chain, "5"), -32600);
    assert_eq!(code(&chain, "[]"), -32600);
    assert_eq!(code(&chain, r#"{"id":1}"#), -32600);
    assert_eq!(code(&chain, r#"{"id":{},"method":"eth_chainId"}"#), -32600);
    assert_eq!(code(&chain, r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#), -32600);
    assert_eq!(code(&chain, vec![b'['; 100_000]), -32700, "nesting is bounded");
    let request =
        |method: &str, params: Value| code(&chain, json!({"jsonrpc":"2.0","id":1,"method":method,"params":params}).to_string());
    assert_eq!(request("eth_nothing", json!([])), -32601);
    assert_eq!(request("eth_sendTransaction", json!([{}])), -32601);
    assert_eq!(request("eth_chainId", json!({"a": 1})), -32602);
    assert_eq!(request("eth_getBalance", json!([])), -32602);
    assert_eq!(request("eth_getBalance", json!(["0x12"])), -32602);
    assert_eq!(request("eth_getBalance", json!([contract, "0x99"])), -32000);
    assert_eq!(request("eth_getBalance", json!([contract, "newest"])), -32602);
    let call = json!({"to": contract});
    assert_eq!(request("eth_call", json!([call, "latest", {"0x01": {}}])), -32602);
    assert_eq!(request("eth_call", json!([{"to": contract, "chainId": "0x1"}])), -32602);
    assert_eq!(request("eth_sendRawTransaction", json!(["0x00"])), -32000);
    assert_eq!(request("eth_sendRawTransaction", json!(["zz"])), -32602);
}

#[test]
fn batches_and_notifications() {
    let (chain, _) = sequencer();
    let respond = |body: Value| {
        let answer = chain.respond(body.to_string().as_bytes())?;
        Some(serde_json::from_slice::<Value>(&answer).unwrap())
    };
    let one = |id: Value| json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"});
    let notification = json!({"jsonrpc": "2.0", "method": "eth_chainId"});
    let answers = respond(json!([one(json!(1)), one(json!("b")), 7, notification])).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 3);
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!("b")));
    assert_eq!(answers[2]["error"]["code"], -32600);
    assert_eq!(respond(notification.clone()), None);
    assert_eq!(respond(json!([notification])), None);
    let many = vec![one(json!(1)); MAX_BATCH + 1];
    assert_eq!(respond(json!(many)).unwrap()["error"]["code"], -32600);
}

#[test]
fn a_replaced_chain_is_seen_by_everyone() {
    let (chain, contract) = sequencer();
    let other = chain.chain().fork_at(0).unwrap();
    send(&chain, &invoke(1, contract, INCREMENT));
    let client = chain.clone();
    let old = chain.replace(other);
    assert_eq!(old.head().number(), 2);
    assert_eq!(ask(&client, "eth_blockNumber", json!([])), "0x0");
    assert_eq!(client.mine_empty().unwrap().timestamp(), 2_000);
}
