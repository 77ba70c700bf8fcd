//! What a chain starts from.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::{
    block::Block,
    executor::{BASE_FEE, BLOCK_GAS_LIMIT},
    state::{Account, State},
};

/// The first block: everyone who opens the same chain must give the same genesis.
///
/// The chain id is written into the genesis block's extra data, so the genesis hash names the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// EIP-155 chain id; transactions signed for another one are refused.
    pub chain_id: u64,
    /// Seconds since 1970; no later block is older.
    pub timestamp: u64,
    /// Balances in wei at block 0.
    pub balances: BTreeMap<Address, U256>,
}

impl Genesis {
    /// A genesis at time zero without any money in it.
    pub fn new(chain_id: u64) -> Self {
        Self { chain_id, timestamp: 0, balances: BTreeMap::new() }
    }

    /// Gives `wei` to each of `accounts`.
    #[must_use]
    pub fn fund(mut self, accounts: impl IntoIterator<Item = Address>, wei: U256) -> Self {
        self.balances.extend(accounts.into_iter().map(|account| (account, wei)));
        self
    }

    /// Sets the time of block 0.
    #[must_use]
    pub fn at(mut self, timestamp: u64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// The state after block 0.
    pub(crate) fn state(&self) -> State {
        let mut state = State::default();
        for (address, balance) in &self.balances {
            // EIP-161: an account without anything does not exist.
            if !balance.is_zero() {
                state.put(*address, Account { balance: *balance, ..Account::default() });
            }
        }
        state
    }

    /// Block 0 over that state.
    pub(crate) fn block(&self, state: &State) -> Block {
        let mut header = crate::block::empty_header(BASE_FEE, BLOCK_GAS_LIMIT);
        header.timestamp = self.timestamp;
        header.parent_hash = B256::ZERO;
        header.extra_data = format!("consilium {}", self.chain_id).into_bytes().into();
        Block::new(header, Vec::new(), state)
    }
}
