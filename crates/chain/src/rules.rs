//! Which fork's rules a chain executes under.

use crate::executor::TRANSACTION_GAS_CAP;
use revm::primitives::hardfork::SpecId;
use serde::{Deserialize, Serialize};

/// The rules of execution and gas, as revm implements them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// Ethereum's mainnet as it is.
    #[default]
    Osaka,
    /// What is planned next, to see what it will cost, with the values of the test network glamsterdam devnet-8, which may
    /// change before the fork. Of what decides about gas: gas for new state, 1,530 a byte, which a transaction may have
    /// beyond its cap (EIP-8037); dearer access to state and writing (EIP-8038); a transaction's start by its parts
    /// (EIP-2780); a floor of 64 gas a byte of calldata (EIP-7976) and the same for access lists (EIP-7981); blocks that
    /// count gas without refunds (EIP-7778). Also larger contracts (EIP-7954), logs of transfers (EIP-7708) and new
    /// instructions (EIP-8024, EIP-7843; there are no slots here, so that one gives zero). Other prices of computation
    /// (EIP-7904) are not in it, and block access lists (EIP-7928) are not made here.
    Amsterdam,
}

impl Rules {
    /// The gas that a block has. New code costs 1,530 gas a byte under Amsterdam's rules, and mainnet's blocks are
    /// to grow accordingly.
    #[must_use]
    pub fn block_gas_limit(self) -> u64 {
        match self {
            Self::Osaka => 36_000_000,
            Self::Amsterdam => 100_000_000,
        }
    }

    /// The gas limit that one transaction may have, gas for new state included. What it uses for everything else is within
    /// [`TRANSACTION_GAS_CAP`] under both rules (EIP-7825; EIP-8037, *Transaction-level gas accounting*: what a limit has
    /// beyond the cap pays for new state only).
    #[must_use]
    pub fn transaction_gas_cap(self) -> u64 {
        match self {
            Self::Osaka => TRANSACTION_GAS_CAP,
            Self::Amsterdam => self.block_gas_limit(),
        }
    }

    /// All of them.
    pub const ALL: [Self; 2] = [Self::Osaka, Self::Amsterdam];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Osaka => "osaka",
            Self::Amsterdam => "amsterdam",
        }
    }

    pub(crate) fn spec(self) -> SpecId {
        match self {
            Self::Osaka => SpecId::OSAKA,
            Self::Amsterdam => SpecId::AMSTERDAM,
        }
    }
}
