//! A chain to point `cast`, viem or a wallet at: `cargo run --release -p consilium-chain --example serve`.
//!
//! It is in memory, on port 8545 or the one given, with chain id 31337. The accounts with the private
//! keys 1 to 10 (as 64 hex digits) are rich, so it is for trying things out and for nothing else.

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::U256;
use consilium_chain::{Chain, Genesis, Sequencer, serve, system_clock};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(8545), |port| port.parse())?;
    let mut genesis = Genesis::new(31337);
    for number in 1..=10 {
        let key: PrivateKeySigner = format!("{number:064x}").parse()?;
        genesis = genesis.fund([key.address()], U256::from(10).pow(U256::from(21)));
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    let sequencer = Sequencer::new(Chain::in_memory(&genesis), system_clock);
    let interrupt = async { drop(tokio::signal::ctrl_c().await) };
    Ok(serve(sequencer, listener, interrupt).await?)
}
