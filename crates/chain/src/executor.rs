//! Execution: what a list of transactions does to a state. Nothing here chooses, waits or stores.
//!
//! The executor is a pure function of parent, time and transactions: no clock, no entropy, no I/O.
//! Two machines that give it the same arguments get the same block hash. Ordering (which transaction
//! comes next, and at what time) is the business of [`crate::sequencer`], and may one day be that of a
//! consensus engine, which would call [`Executor::execute`] with its own lists.
//!
//! Rules: a fork's ([`Rules`]) as revm implements them, with a constant base fee ([`BASE_FEE`], burned as
//! usual), no blobs, no withdrawals, no beacon roots, no block reward. Tips go to the zero address.

use std::convert::Infallible;

use alloy::consensus::{Header, Receipt, ReceiptEnvelope, Sealed, Transaction as _, Typed2718};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    Context, Database, ExecuteEvm, MainBuilder, MainContext,
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, ResultAndState},
    state::{AccountInfo, Bytecode},
};

use crate::{
    block::{Block, Included, Transaction, empty_header},
    meter::Meter,
    refusal::{Refusal, check_chain_id},
    rules::Rules,
    state::{Changes, State},
};

/// The base fee of every block in wei per gas: the lowest that Ethereum's own rule can reach.
pub const BASE_FEE: u64 = 7;

/// The gas one transaction may have (EIP-7825); under Amsterdam's rules, besides gas for new state (EIP-8037,
/// *Transaction-level gas accounting*).
pub const TRANSACTION_GAS_CAP: u64 = 1 << 24;

/// Runs transactions and calls under the rules of one chain.
#[derive(Clone, Debug)]
pub struct Executor {
    chain_id: u64,
    rules: Rules,
}

/// What a block is built on.
#[derive(Clone, Copy)]
pub struct Parent<'a> {
    /// The parent block's header.
    pub header: &'a Sealed<Header>,
    /// The state after the parent.
    pub state: &'a State,
    /// The hash of an ancestor by number, for the `BLOCKHASH` instruction.
    pub hash_of: &'a dyn Fn(u64) -> Option<B256>,
}

/// A block that has been executed and not yet been put anywhere.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The block.
    pub block: Block,
    /// The state after it.
    pub state: State,
    pub(crate) changes: Changes,
}

/// What a call that changes nothing is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read something: it may use a whole block's gas.
    Read,
    /// To learn what a transaction would do: it has a transaction's limit, [`TRANSACTION_GAS_CAP`].
    Rehearse,
}

/// What a call that changes nothing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call returned.
    Returned {
        /// What it returned.
        output: Bytes,
        /// The gas it used, refunds deducted.
        gas_used: u64,
        /// The highest gas it held before refunds.
        gas_spent: u64,
    },
    /// The contract reverted.
    Reverted {
        /// The revert data: an ABI-encoded Solidity error, or nothing.
        output: Bytes,
    },
    /// The EVM stopped it: out of gas, invalid instruction and the like.
    Halted {
        /// In words.
        reason: String,
        /// Whether more gas might help.
        out_of_gas: bool,
    },
}

impl Executor {
    /// The executor of the chain with this id under these rules.
    pub fn new(chain_id: u64, rules: Rules) -> Self {
        Self { chain_id, rules }
    }

    /// The EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The rules that it executes under.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Executes `transactions` in order as the block after `parent`.
    ///
    /// # Errors
    /// The first transaction that may not enter the block, with the reason. A transaction that reverts
    /// or runs out of gas does enter: its receipt says so, and its sender pays.
    pub fn execute(&self, parent: Parent<'_>, timestamp: u64, transactions: Vec<Transaction>) -> Result<Executed, Refusal> {
        let mut header = next_header(parent.header, timestamp);
        let mut state = parent.state.clone();
        let mut changes = Changes::default();
        let mut included = Vec::with_capacity(transactions.len());
        let mut meter = Meter::new(self.rules, header.gas_limit);
        for transaction in transactions {
            check_chain_id(&transaction, self.chain_id)?;
            meter.admit(transaction.gas_limit())?;
            let view = View { state: &state, hash_of: parent.hash_of };
            let run = transact(view, block_env(&header), self.config(), transaction_env(&transaction))
                .map_err(|error| Refusal::from_evm(error, transaction.signer()))?;
            let gas_used = meter.add(run.result.gas());
            let receipt = receipt(&transaction, run.result, gas_used);
            included.push(Included { transaction, receipt });
            changes.merge(state.apply(run.state));
        }
        header.gas_used = meter.used();
        let block = Block::new(header, included, &state);
        Ok(Executed { block, state, changes })
    }

    /// Runs one call on `parent` as if it stood in a block with this header, and forgets the effects.
    ///
    /// The checks that protect an account from being spent are off as for `eth_call` everywhere:
    /// no signature, any nonce, a sender with code. A gas price of zero waives the base fee.
    ///
    /// # Errors
    /// [`Refusal`] if the call could not start, for example for want of balance or intrinsic gas.
    pub fn call(&self, parent: Parent<'_>, header: &Header, call: TxEnv, purpose: Purpose) -> Result<Outcome, Refusal> {
        let mut config = self.config();
        config.disable_nonce_check = true;
        config.disable_eip3607 = true;
        config.tx_chain_id_check = false;
        if purpose == Purpose::Read {
            config.tx_gas_limit_cap = Some(header.gas_limit);
        }
        let mut block = block_env(header);
        if call.gas_price == 0 {
            block.basefee = 0;
        }
        let caller = call.caller;
        let view = View { state: parent.state, hash_of: parent.hash_of };
        let run = transact(view, block, config, call).map_err(|error| Refusal::from_evm(error, caller))?;
        Ok(outcome(run.result))
    }

    fn config(&self) -> CfgEnv {
        CfgEnv::new_with_spec(self.rules.spec()).with_chain_id(self.chain_id)
    }
}

/// The header of the block after `parent`, its roots still to be filled.
pub(crate) fn next_header(parent: &Sealed<Header>, timestamp: u64) -> Header {
    let mut header = empty_header(BASE_FEE, parent.gas_limit);
    header.parent_hash = parent.hash();
    header.number = parent.number + 1;
    header.timestamp = timestamp;
    header
}

fn block_env(header: &Header) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or(BASE_FEE),
        prevrandao: Some(header.mix_hash),
        ..BlockEnv::default()
    }
}

fn transaction_env(transaction: &Transaction) -> TxEnv {
    TxEnv {
        tx_type: transaction.ty(),
        caller: transaction.signer(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        ..TxEnv::default()
    }
}

fn transact(
    view: View<'_>,
    block: BlockEnv,
    config: CfgEnv,
    transaction: TxEnv,
) -> Result<ResultAndState, revm::context_interface::result::InvalidTransaction> {
    let mut evm = Context::mainnet().with_db(view).with_block(block).with_cfg(config).build_mainnet();
    evm.transact(transaction).map_err(|error| match error {
        EVMError::Transaction(error) => error,
        EVMError::Database(never) => match never {},
        other => other.to_string().into(),
    })
}

fn receipt(transaction: &Transaction, result: ExecutionResult, gas_used: u64) -> ReceiptEnvelope {
    let status = result.is_success().into();
    // Logs of a transaction that failed never happened.
    let logs = if result.is_success() { result.into_logs() } else { Vec::new() };
    let receipt = Receipt { status, cumulative_gas_used: gas_used, logs };
    ReceiptEnvelope::from_typed(transaction.tx_type(), receipt.with_bloom())
}

fn outcome(result: ExecutionResult) -> Outcome {
    match result {
        ExecutionResult::Success { gas, output, .. } => Outcome::Returned {
            output: output.into_data(),
            gas_used: gas.tx_gas_used(),
            gas_spent: gas.total_gas_spent().max(gas.tx_gas_used()),
        },
        ExecutionResult::Revert { output, .. } => Outcome::Reverted { output },
        ExecutionResult::Halt { reason, .. } => Outcome::Halted {
            out_of_gas: matches!(reason, revm::context_interface::result::HaltReason::OutOfGas(_)),
            reason: reason.to_string(),
        },
    }
}

/// The state as revm wants to read it.
struct View<'a> {
    state: &'a State,
    hash_of: &'a dyn Fn(u64) -> Option<B256>,
}

impl Database for View<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.state.account(address).map(crate::state::Account::info))
    }

    fn code_by_hash(&mut self, _: B256) -> Result<Bytecode, Infallible> {
        // Never asked for a real code: `basic` returns every account with its code in it.
        Ok(Bytecode::default())
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.state.storage(address, slot))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok((self.hash_of)(number).unwrap_or_default())
    }
}
