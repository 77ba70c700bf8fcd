//! What a chain starts from.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::{
    block::Block,
    executor::BASE_FEE,
    rules::Rules,
    state::{Account, State},
};

/// The first block: everyone who opens the same chain must give the same genesis.
///
/// The chain id, and rules other than Osaka's, are written into the genesis block's extra data, so the genesis hash names
/// the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// EIP-155 chain id; transactions signed for another one are refused.
    pub chain_id: u64,
    /// Seconds since 1970; no later block is older.
    pub timestamp: u64,
    /// Balances in wei at block 0.
    pub balances: BTreeMap<Address, U256>,
    /// The rules of all blocks.
    #[serde(default)]
    pub rules: Rules,
}

impl Genesis {
    /// A genesis at time zero without any money in it, under Osaka's rules.
    pub fn new(chain_id: u64) -> Self {
        Self { chain_id, timestamp: 0, balances: BTreeMap::new(), rules: Rules::Osaka }
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

    /// Sets the rules.
    #[must_use]
    pub fn under(mut self, rules: Rules) -> Self {
        self.rules = rules;
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
        let mut header = crate::block::empty_header(BASE_FEE, self.rules.block_gas_limit());
        header.timestamp = self.timestamp;
        header.parent_hash = B256::ZERO;
        let rules = if self.rules == Rules::Osaka { String::new() } else { format!(" {}", self.rules.name()) };
        header.extra_data = format!("consilium {}{rules}", self.chain_id).into_bytes().into();
        Block::new(header, Vec::new(), state)
    }
}
