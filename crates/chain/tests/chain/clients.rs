//! Other people's clients over HTTP, unchanged: cast and viem, installed under `contracts/` by `make test`.

use crate::fixtures::*;
use alloy_primitives::{Address, B256, U256, hex};
use consilium_chain::{Sequencer, serve};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

fn contracts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts")
}

async fn run(command: &mut Command) -> String {
    let hint = "run `make test`, which installs the clients under contracts/node_modules";
    let done = command.current_dir(contracts()).stdin(Stdio::null()).output().await;
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?} ended with {}: {out}{err}", done.status);
    out.trim().to_owned()
}

async fn cast(url: &str, arguments: &[&str]) -> String {
    run(Command::new("node_modules/.bin/cast").args(arguments).args(["--rpc-url", url])).await
}

/// A chain with the counter behind a port of its own.
async fn served() -> (String, Address) {
    let (chain, counter) = with_counter();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Sequencer::new(chain, || 2_000), listener, std::future::pending()));
    (url, counter)
}

fn word(value: u64) -> String {
    hex::encode_prefixed(argument(value))
}

fn secret(number: u64) -> String {
    hex::encode_prefixed(key(number).to_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_reads_sends_and_decodes() {
    let (url, counter) = served().await;
    let counter = counter.to_string();
    assert_eq!(cast(&url, &["chain-id"]).await, "31337");
    assert_eq!(cast(&url, &["balance", &key(2).address().to_string()]).await, ether(1000).to_string());
    for expected in 1..=2_u64 {
        let sent = cast(&url, &["send", "--json", "--private-key", &secret(2), &counter, &word(INCREMENT)]).await;
        let receipt: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(receipt["logs"][0]["topics"][1], json!(B256::from(U256::from(expected))));
        let hash = receipt["transactionHash"].as_str().unwrap();
        let again: Value = serde_json::from_str(&cast(&url, &["receipt", "--json", hash]).await).unwrap();
        assert_eq!(again["blockHash"], receipt["blockHash"]);
    }
    assert_eq!(cast(&url, &["call", &counter, &word(READ)]).await, hex::encode_prefixed(B256::from(U256::from(2))));
    assert_eq!(cast(&url, &["nonce", &key(2).address().to_string()]).await, "2");
    let logs: Value =
        serde_json::from_str(&cast(&url, &["logs", "--json", "--from-block", "0", "--address", &counter]).await).unwrap();
    assert_eq!(logs.as_array().map(Vec::len), Some(2));
    assert_eq!(cast(&url, &["block", "latest", "--field", "number"]).await, "3");
    assert!(cast(&url, &["code", &counter]).await.len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_reads_sends_and_names_reverts() {
    let (url, counter) = served().await;
    let mut viem = Command::new("node");
    viem.args(["tools/client.mjs", &url, &counter.to_string(), &secret(3)]);
    let seen: Value = serde_json::from_str(&run(&mut viem).await).unwrap();
    let one = json!([B256::from(U256::from(1))]);
    assert_eq!((&seen["chain"], &seen["status"], &seen["mined"]), (&json!(31337), &json!("success"), &json!(true)));
    assert_eq!((&seen["count"], &seen["slot"], &seen["logs"]), (&json!(1), &json!(1), &one));
    assert_eq!(seen["refusal"], "0xdeadbeef");
    assert!(seen["poor"].as_str().unwrap().contains("nonce too low"), "{seen}");
}
