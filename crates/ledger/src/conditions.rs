//! What sponsors and node operators agree to: the conditions of a study, and what a node puts up for a sponsor.

use alloy_primitives::{Address, U256};

/// What the money and the stake of a study follow, from its creation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// ERC-20 in which rounds and licences are paid; zero for a study without money.
    pub currency: Address,
    /// What one settled round pays, in the currency's smallest unit.
    pub budget: U256,
    /// The part of the signing nodes, in ten-thousandths; the sites have the rest.
    pub node_share: u16,
    /// What each node answers with, in wei. With zero, an offence costs it its place in the committee only.
    pub bond: U256,
    /// Whether nodes may serve that have registered only lately.
    pub newcomers: bool,
    /// Seconds after a settlement in which proving it wrong undoes it.
    pub challenge_window: u32,
    /// How many rounds are on record at once, 2 to 1024: as many as may be opened within one challenge window.
    pub ring: u16,
    /// Who may hold compensation back and pause proofs and payouts; zero for nobody. The sponsor may name another later.
    pub guardian: Address,
    /// The contract that has to approve of committees; zero for the sponsor's own list.
    pub source: Address,
    /// The sponsor's privacy account that every round draws on; 0 for none.
    pub privacy_account: u64,
    /// What a round costs that account: zCDP's rho in 10^-9; 0 without an account.
    pub privacy_cost: u64,
}

impl Default for Conditions {
    /// A permissioned study without money: any registered node, no bond, an hour to challenge, 64 rounds on record.
    fn default() -> Self {
        Self {
            currency: Address::ZERO,
            budget: U256::ZERO,
            node_share: 0,
            bond: U256::ZERO,
            newcomers: true,
            challenge_window: 3600,
            ring: 64,
            guardian: Address::ZERO,
            source: Address::ZERO,
            privacy_account: 0,
            privacy_cost: 0,
        }
    }
}

/// How much of its stake a node puts up for the studies of a sponsor, or for committees of a source, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    /// Largest bond of one study, in wei.
    pub max_bond: U256,
    /// Largest sum of the bonds of all its studies, in wei. A bond that a proof has taken goes on counting.
    pub max_total: U256,
    /// Shortest challenge window of a study, in seconds.
    pub minimum_window: u32,
    /// Block time from which nobody is taken by it any more.
    pub expires: u64,
}

impl Consent {
    /// Takes back what was agreed to: bonds that are put up already stay.
    pub const NONE: Self = Self { max_bond: U256::ZERO, max_total: U256::ZERO, minimum_window: 0, expires: 0 };
    /// All of a node's stake, for good: for trials.
    pub const ALL: Self = Self {
        max_bond: U256::from_limbs([u64::MAX, u32::MAX as u64, 0, 0]),
        max_total: U256::from_limbs([u64::MAX, u32::MAX as u64, 0, 0]),
        minimum_window: 0,
        expires: Self::NEVER,
    };
    /// The latest time at which a consent can expire.
    pub const NEVER: u64 = (1 << 40) - 1;
    /// The longest window that can be asked for, in seconds: 194 days.
    pub const LONGEST_WINDOW: u32 = (1 << 24) - 1;
}
