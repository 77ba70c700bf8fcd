//! An embedded EVM chain for a consortium that has none: the Consilium contracts run on it exactly as on
//! any other EVM chain, because it *is* one. Blocks, roots, receipts and gas are those of Ethereum's
//! Osaka fork ([`Rules`] has another); alloy, `cast` and viem work against it unchanged.
//!
//! | layer | what it does | module |
//! |---|---|---|
//! | execution | parent + time + transactions -> block, state; a pure function | [`Executor`] |
//! | chain | blocks, the latest states, indexes; in memory or in a folder | [`Chain`], [`Location`] |
//! | ordering | which transaction is next, and at what time | [`Sequencer`] |
//! | JSON-RPC | about twenty standard methods | [`Sequencer::respond`] |
//! | access | as an alloy transport in process, or over HTTP | [`InProcess`], [`serve`] |
//!
//! # One sequencer, and what that means
//!
//! One process orders the transactions; there is no consensus. What holds no matter who runs it:
//!
//! - It cannot forge a transaction: each is signed by its sender, for this chain, with a nonce.
//! - It cannot make a contract do what its code does not: whoever has the transactions recomputes every
//!   root, and a different result shows.
//! - What it has answered for is on its disk first, and a restart verifies all of it.
//!
//! What does *not* hold: the operator can leave transactions out, delay them, order them to his liking,
//! set the time of a block within reason, stop, and, if nobody else kept the block hashes, rewrite
//! history. Hence `latest`, `safe` and `finalized` all mean the head, and none of them means more than
//! the operator's word. A deployment that must not trust one operator uses a chain with consensus; nothing
//! but the RPC address changes.
//!
//! # In memory, with one's own time
//!
//! ```
//! use alloy::{
//!     consensus::{SignableTransaction, TxEip1559, TxEnvelope},
//!     eips::Encodable2718,
//!     signers::{SignerSync, local::PrivateKeySigner},
//! };
//! use alloy_primitives::{Address, U256};
//! use consilium_chain::{Chain, Genesis};
//!
//! let alice: PrivateKeySigner = format!("{:064x}", 1).parse()?;
//! let genesis = Genesis::new(1337).fund([alice.address()], U256::from(10).pow(U256::from(18)));
//! let mut chain = Chain::in_memory(&genesis);
//!
//! let transfer = TxEip1559 {
//!     chain_id: 1337,
//!     nonce: 0,
//!     gas_limit: 21_000,
//!     max_fee_per_gas: 100,
//!     to: Address::repeat_byte(7).into(),
//!     value: U256::from(5),
//!     ..TxEip1559::default()
//! };
//! let signature = alice.sign_hash_sync(&transfer.signature_hash())?;
//! let raw = TxEnvelope::from(transfer.into_signed(signature)).encoded_2718();
//!
//! let before = chain.fork();                     // costs little: the state is shared
//! let receipt = chain.submit(&raw, 1_000)?;      // one block at second 1000
//! assert!(receipt.status());
//! assert_eq!(chain.state().balance(Address::repeat_byte(7)), U256::from(5));
//!
//! // A reorganisation: go back to block 0 and let another block 1 happen.
//! let mut other = chain.fork_at(0)?;
//! other.mine_empty(1_001)?;
//! assert_ne!(other.head().hash(), chain.head().hash());
//! assert_eq!(before.head().number(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Behind an alloy provider
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use alloy::providers::{Provider, ProviderBuilder};
//! use consilium_chain::{Chain, Genesis, Location, Sequencer, serve, system_clock};
//!
//! let chain = Chain::open(&Genesis::new(1337), Location::Folder("chain".into()))?;
//! let sequencer = Sequencer::new(chain, system_clock);
//! let provider = ProviderBuilder::new().connect_client(sequencer.client());
//! assert_eq!(provider.get_chain_id().await?, 1337);
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8545").await?;
//! serve(sequencer, listener, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```

mod block;
mod calls;
mod chain;
mod encoding;
mod executor;
mod genesis;
mod http;
mod meter;
mod refusal;
mod rpc;
mod rules;
mod sequencer;
mod state;
mod store;
mod transport;
mod trie;
mod views;

pub use block::{Block, Included, Transaction};
pub use calls::CallError;
pub use chain::{Chain, Error, Location, STATES_KEPT};
pub use executor::{BASE_FEE, Executed, Executor, Outcome, Parent, Purpose, TRANSACTION_GAS_CAP};
pub use genesis::Genesis;
pub use http::{MAX_BODY_BYTES, router, serve};
pub use refusal::{MAX_TRANSACTION_BYTES, Refusal, decode_transaction};
pub use rpc::{MAX_BATCH, MAX_LOGS, RpcError};
pub use rules::Rules;
pub use sequencer::{Sequencer, system_clock};
pub use state::State;
pub use store::StoreError;
pub use transport::InProcess;
