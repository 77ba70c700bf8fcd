//! What the transactions of a block use of its gas, and whether one more has room.

use revm::context_interface::result::ResultGas;

use crate::{executor::TRANSACTION_GAS_CAP, refusal::Refusal, rules::Rules};

/// The gas of a block while transactions enter it.
///
/// Under Osaka's rules a block has one kind of gas, which is what senders pay for. Under Amsterdam's it has two, gas for
/// new state and gas for execution, which is everything else (EIP-8037, *Block-level gas accounting*), and refunds do not
/// lessen either (EIP-7778, *Gas Accounting Changes*).
#[derive(Debug)]
pub(crate) struct Meter {
    rules: Rules,
    limit: u64,
    paid: u64,
    execution: u64,
    state: u64,
}

impl Meter {
    /// An empty block's, of this gas limit.
    pub(crate) fn new(rules: Rules, limit: u64) -> Self {
        Self { rules, limit, paid: 0, execution: 0, state: 0 }
    }

    /// Whether a transaction with this gas limit may still enter: under Amsterdam's rules if each kind has room for the
    /// most that it may use of it (EIP-8037, *Transaction validation*, second condition).
    ///
    /// # Errors
    /// [`Refusal::GasAboveBlock`].
    pub(crate) fn admit(&self, gas_limit: u64) -> Result<(), Refusal> {
        let left = |used: u64| self.limit.saturating_sub(used);
        let fits = match self.rules {
            Rules::Osaka => gas_limit <= left(self.paid),
            // How its gas will fall on the two kinds shows only when it runs.
            Rules::Amsterdam => gas_limit.min(TRANSACTION_GAS_CAP) <= left(self.execution) && gas_limit <= left(self.state),
        };
        fits.then_some(()).ok_or(Refusal::GasAboveBlock)
    }

    /// Enters what a transaction used. Yields the gas that all senders up to it pay for, as its receipt tells it (EIP-8037,
    /// *Receipt semantics*). The floor for calldata counts as execution, however much the transaction uses for new state.
    pub(crate) fn add(&mut self, gas: &ResultGas) -> u64 {
        self.paid += gas.tx_gas_used();
        self.execution += gas.block_regular_gas_used();
        self.state += gas.block_state_gas_used();
        self.paid
    }

    /// The gas that the block's header tells: of two kinds the larger (EIP-8037, *Block-level gas accounting*).
    pub(crate) fn used(&self) -> u64 {
        match self.rules {
            Rules::Osaka => self.paid,
            Rules::Amsterdam => self.execution.max(self.state),
        }
    }
}
