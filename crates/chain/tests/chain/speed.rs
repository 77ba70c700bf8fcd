//! Not a test: what a transaction costs in time. `cargo nextest run -p consilium-chain --run-ignored
//! only speed --no-capture --release` prints it.

use std::time::Instant;

use alloy::providers::{Provider, ProviderBuilder};
use consilium_chain::{Chain, Location, Sequencer, system_clock};

use crate::fixtures::*;

const COUNT: u64 = 500;

async fn measure(what: &str, location: Location) {
    let mut chain = Chain::open(&genesis(), location).unwrap();
    let contract = deploy_counter(&mut chain);
    let sequencer = Sequencer::new(chain, system_clock);
    let provider = ProviderBuilder::new().connect_client(sequencer.client());
    let raws: Vec<_> = (1..=COUNT).map(|nonce| invoke(nonce, contract, INCREMENT)).collect();
    let start = Instant::now();
    for raw in &raws {
        let pending = provider.send_raw_transaction(raw).await.unwrap();
        let receipt = provider.get_transaction_receipt(*pending.tx_hash()).await.unwrap();
        assert!(receipt.unwrap().status());
    }
    let each = start.elapsed() / COUNT as u32;
    let more: Vec<_> = (COUNT + 1..=COUNT + 50).map(|n| invoke(n, contract, INCREMENT)).collect();
    let start = Instant::now();
    for raw in &more {
        provider.send_raw_transaction(raw).await.unwrap().get_receipt().await.unwrap();
    }
    let waited = start.elapsed() / 50;
    println!("{what}: send + receipt {each:?}; send + alloy's get_receipt {waited:?}");
}

#[tokio::test]
#[ignore = "a measurement"]
async fn send_and_receipt() {
    measure("memory", Location::Memory).await;
    let folder = tempfile::tempdir().unwrap();
    measure("durable", Location::Folder(folder.path().into())).await;
}
