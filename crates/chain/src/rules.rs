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
    /// What is planned next, to see what it will cost: gas for new state (EIP-8037), dearer access to state (EIP-8038), a
    /// cheaper start of transactions (EIP-2780), and a floor of 64 gas a byte of calldata (EIP-7976). The values may change
    /// before the fork; its block access lists (EIP-7928) are not made here.
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

    /// The gas that one transaction may have: EIP-7825, which under Amsterdam's rules does not count gas for new state.
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
