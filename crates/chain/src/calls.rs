//! Calls that change nothing: `eth_call` and `eth_estimateGas`.
//!
//! A call at the head runs in the block that a transaction sent now would be in: the head's number plus
//! one, at the time the caller gives. With a block only when there is a transaction, the head may be
//! hours old, and a contract that compares the block's time with a deadline must not be asked about then.

use alloy::{consensus::Header, rpc::types::TransactionRequest};
use alloy_primitives::{Bytes, TxKind, U256};
use revm::context::TxEnv;
use thiserror::Error;

use crate::{
    chain::{Chain, Error},
    executor::{Outcome, Parent, Purpose, next_header},
    refusal::Refusal,
};

/// Why a call has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The contract reverted.
    #[error("execution reverted")]
    Reverted {
        /// The ABI-encoded error, or nothing.
        output: Bytes,
    },
    /// The EVM stopped the call.
    #[error("{reason}")]
    Halted {
        /// In words.
        reason: String,
    },
    /// No amount of gas that is allowed is enough.
    #[error("gas required exceeds allowance ({allowance})")]
    NotEnoughGas {
        /// The most gas that was tried.
        allowance: u64,
    },
    /// The request contradicts itself or asks for what this chain has not.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The call could not start.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state to call on is not there.
    #[error(transparent)]
    Chain(#[from] Error),
}

impl Chain {
    /// Runs `request` on the state after block `number` and returns what it returns.
    ///
    /// `now` is the time of the block it would stand in if `number` is the head; for an older block it
    /// is that block's own time.
    ///
    /// # Errors
    /// [`CallError`]; the chain is never changed.
    pub fn call(&self, request: &TransactionRequest, number: u64, now: u64) -> Result<Bytes, CallError> {
        match self.dry_run(request, number, now, None)? {
            Outcome::Returned { output, .. } => Ok(output),
            Outcome::Reverted { output } => Err(CallError::Reverted { output }),
            Outcome::Halted { reason, .. } => Err(CallError::Halted { reason }),
        }
    }

    /// The least gas, to within 1.5 %, with which `request` succeeds on the state after block `number`.
    ///
    /// # Errors
    /// [`CallError`], with the revert data if the contract reverts however much gas it is given.
    pub fn estimate_gas(&self, request: &TransactionRequest, number: u64, now: u64) -> Result<u64, CallError> {
        let mut high = self.gas_allowance(request, number, self.executor().rules().transaction_gas_cap())?;
        let run = |gas: u64| self.dry_run(request, number, now, Some(gas));
        let (used, spent) = match run(high)? {
            Outcome::Returned { gas_used, gas_spent, .. } => (gas_used, gas_spent),
            Outcome::Reverted { output } => return Err(CallError::Reverted { output }),
            Outcome::Halted { out_of_gas: true, .. } => {
                return Err(CallError::NotEnoughGas { allowance: high });
            }
            Outcome::Halted { reason, .. } => return Err(CallError::Halted { reason }),
        };
        if self.is_plain_transfer(request, number)? {
            return Ok(used);
        }
        let enough = |gas: u64| matches!(run(gas), Ok(Outcome::Returned { .. }));
        let mut low = used.saturating_sub(1);
        // A call keeps back 1/64 of its gas and a value transfer is lent a stipend: mostly this suffices.
        let guess = (spent + 2_300) * 64 / 63;
        if guess < high {
            if enough(guess) { high = guess } else { low = guess }
        }
        while low + 1 < high && (high - low) * 1000 > high * 15 {
            let middle = low.midpoint(high).min(low * 2);
            if enough(middle) { high = middle } else { low = middle }
        }
        Ok(high)
    }

    /// Money to an account without code: it runs nothing, so it needs what it used and not more.
    fn is_plain_transfer(&self, request: &TransactionRequest, number: u64) -> Result<bool, Error> {
        let Some(TxKind::Call(to)) = request.to else { return Ok(false) };
        let silent = request.input.input().is_none_or(|input| input.is_empty());
        Ok(silent && self.state_at(number)?.code(to).is_empty())
    }

    /// Runs `request` as a transaction with this gas, or as a call with as much as it asks for and may have.
    fn dry_run(&self, request: &TransactionRequest, number: u64, now: u64, gas: Option<u64>) -> Result<Outcome, CallError> {
        let (gas, purpose) = match gas {
            Some(gas) => (gas, Purpose::Rehearse),
            None => (self.gas_allowance(request, number, self.executor().rules().block_gas_limit())?, Purpose::Read),
        };
        let call = self.environment(request, number, gas)?;
        let at_head = number == self.head().number();
        let run = |parent: Parent<'_>| {
            let next;
            let header: &Header = if at_head {
                next = next_header(parent.header, now.max(parent.header.timestamp));
                &next
            } else {
                parent.header.inner()
            };
            self.executor().call(parent, header, call, purpose)
        };
        Ok(self.with_parent(number, run)??)
    }

    /// The gas `request` asks for, within `cap` and what its sender could pay at the price it offers.
    fn gas_allowance(&self, request: &TransactionRequest, number: u64, cap: u64) -> Result<u64, CallError> {
        let asked = request.gas.unwrap_or(cap).min(cap);
        let price = request.max_fee_per_gas.or(request.gas_price).unwrap_or(0);
        let address = request.from.unwrap_or_default();
        let have = self.state_at(number)?.balance(address);
        let want = request.value.unwrap_or_default();
        let left = have.checked_sub(want).ok_or(Refusal::InsufficientFunds { address, have, want })?;
        if price == 0 {
            return Ok(asked);
        }
        let affordable = left / U256::from(price);
        Ok(asked.min(u64::try_from(affordable).unwrap_or(u64::MAX)))
    }

    fn environment(&self, request: &TransactionRequest, number: u64, gas_limit: u64) -> Result<TxEnv, CallError> {
        self.check(request)?;
        let caller = request.from.unwrap_or_default();
        let mut env = TxEnv {
            caller,
            gas_limit,
            gas_price: request.max_fee_per_gas.or(request.gas_price).unwrap_or(0),
            gas_priority_fee: request.max_priority_fee_per_gas,
            kind: request.to.unwrap_or(TxKind::Create),
            value: request.value.unwrap_or_default(),
            data: request.input.input().cloned().unwrap_or_default(),
            nonce: self.state_at(number)?.nonce(caller),
            chain_id: Some(self.chain_id()),
            access_list: request.access_list.clone().unwrap_or_default(),
            ..TxEnv::default()
        };
        env.derive_tx_type().map_err(|_| CallError::BadRequest("missing field \"to\""))?;
        Ok(env)
    }

    fn check(&self, request: &TransactionRequest) -> Result<(), CallError> {
        let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
        let blobs =
            request.max_fee_per_blob_gas.is_some() || request.blob_versioned_hashes.is_some() || request.sidecar.is_some();
        let wrong = if request.gas_price.is_some() && dynamic {
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"
        } else if blobs {
            "this chain has no blobs"
        } else if request.authorization_list.as_ref().is_some_and(|list| !list.is_empty()) {
            "this chain does not take set-code transactions"
        } else if request.chain_id.is_some_and(|id| id != self.chain_id()) {
            "chainId does not match this chain's"
        } else {
            return Ok(());
        };
        Err(CallError::BadRequest(wrong))
    }
}
