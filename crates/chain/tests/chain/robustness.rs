//! Whatever the bytes, the dispatcher answers, and it never changes the chain without a valid signature.

use consilium_chain::{Chain, Sequencer, decode_transaction};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::*;

const METHODS: [&str; 16] = [
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getTransactionByHash",
    "eth_feeHistory",
    "eth_getTransactionReceipt",
    "eth_getTransactionCount",
    "eth_getBalance",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_call",
    "eth_estimateGas",
    "eth_sendRawTransaction",
    "eth_getLogs",
    "eth_getBlockReceipts",
    "eth_sendRawTransactionSync",
    "eth_blockNumber",
];

fn sequencer() -> Sequencer {
    Sequencer::new(Chain::in_memory(&genesis()), || 2_000)
}

fn argument_of_any_kind() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9]{0,6}".prop_map(Value::from),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        prop::sample::select(vec!["latest", "earliest", "pending", "0x0", "0x7"]).prop_map(Value::from),
        any::<[u8; 20]>().prop_map(|a| json!(alloy_primitives::Address::from(a))),
    ];
    let name = prop::sample::select(vec![
        "from",
        "to",
        "data",
        "input",
        "gas",
        "gasPrice",
        "value",
        "nonce",
        "fromBlock",
        "toBlock",
        "address",
        "topics",
        "blockHash",
        "type",
        "accessList",
        "maxFeePerGas",
        "chainId",
        "maxPriorityFeePerGas",
        "blobVersionedHashes",
        "authorizationList",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_get_an_answer(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let answer = sequencer().respond(&body);
        let answer: Value = serde_json::from_slice(&answer.unwrap_or(b"null".to_vec())).unwrap();
        prop_assert!(answer.is_null() || answer["error"]["code"].is_number());
    }

    #[test]
    fn random_arguments_get_an_answer(
        method in prop::sample::select(METHODS.to_vec()),
        params in prop::collection::vec(argument_of_any_kind(), 0..4),
    ) {
        let sequencer = sequencer();
        let _ = sequencer.request(method, json!(params));
        prop_assert_eq!(sequencer.chain().head().number(), 0);
    }

    #[test]
    fn a_damaged_transaction_never_acts_for_its_sender(at in 0usize..110, bit in 0u8..8) {
        let mut raw = transfer(0, alloy_primitives::Address::repeat_byte(7), ether(1));
        let at = at % raw.len();
        raw[at] ^= 1 << bit;
        if let Ok(transaction) = decode_transaction(&raw) {
            prop_assert_ne!(transaction.signer(), key(1).address());
        }
    }

    #[test]
    fn random_bytes_are_no_transaction(raw in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut chain = Chain::in_memory(&genesis());
        prop_assert!(chain.submit(&raw, 2_000).is_err());
    }

    #[test]
    fn random_code_never_breaks_the_chain(code in prop::collection::vec(any::<u8>(), 1..200)) {
        let mut chain = Chain::in_memory(&genesis());
        chain.submit(&deployment(0, code), 2_000).unwrap();
        prop_assert_eq!(chain.head().header.state_root, chain.state().root());
        prop_assert_eq!(chain.state().nonce(key(1).address()), 1);
    }
}
