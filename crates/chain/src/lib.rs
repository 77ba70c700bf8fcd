//! An embedded EVM chain.
mod block;
mod chain;
mod encoding;
mod executor;
mod genesis;
mod refusal;
mod state;
mod store;
mod trie;
mod views;

pub use block::{Block, Included, Transaction};
pub use chain::{Chain, Error, Location, STATES_KEPT};
pub use executor::{BASE_FEE, BLOCK_GAS_LIMIT, Executed, Executor, Outcome, Parent, TRANSACTION_GAS_CAP};
pub use genesis::Genesis;
pub use refusal::{MAX_TRANSACTION_BYTES, Refusal, decode_transaction};
pub use state::State;
pub use store::StoreError;
