//! Reasons for which a transaction does not enter the chain. All of them are the sender's to mend.
//!
//! The wording follows geth, because wallets and libraries look for these phrases.

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::{Decodable2718, Typed2718},
};
use alloy_primitives::{Address, B256, U256};
use revm::context_interface::result::InvalidTransaction;
use thiserror::Error;

use crate::{block::Transaction, executor::BASE_FEE};

/// The largest transaction that is accepted, in bytes, as in geth.
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Why a transaction was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no signed transaction.
    #[error("rlp: cannot decode transaction: {0}")]
    Malformed(String),
    /// The bytes are too many.
    #[error("oversized data: transaction size {size}, limit {MAX_TRANSACTION_BYTES}")]
    Oversized {
        /// Its length in bytes.
        size: usize,
    },
    /// Blob and set-code transactions, and whatever comes after them.
    #[error("transaction type not supported: {0} (send a legacy, EIP-2930 or EIP-1559 transaction)")]
    UnsupportedType(u8),
    /// The signature recovers no address.
    #[error("invalid sender: the signature does not recover an address")]
    BadSignature,
    /// A legacy transaction that any chain would accept.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    NotReplayProtected,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    WrongChain {
        /// The chain id in the transaction.
        have: u64,
        /// This chain's id.
        want: u64,
    },
    /// The very same transaction is in the chain.
    #[error("already known: {0}")]
    AlreadyKnown(B256),
    /// Another transaction with this nonce is in the chain.
    #[error("nonce too low: next nonce {next}, tx nonce {have}")]
    NonceTooLow {
        /// The transaction's nonce.
        have: u64,
        /// The nonce the sender must use.
        next: u64,
    },
    /// There is no queue here that would hold a transaction until the gap is filled.
    #[error("nonce too high: next nonce {next}, tx nonce {have} (send the missing ones first)")]
    NonceTooHigh {
        /// The transaction's nonce.
        have: u64,
        /// The nonce the sender must use.
        next: u64,
    },
    /// Value and the highest possible fee exceed the balance.
    #[error("insufficient funds for gas * price + value: address {address} have {have} want {want}")]
    InsufficientFunds {
        /// The sender.
        address: Address,
        /// Its balance in wei.
        have: U256,
        /// What it would need.
        want: U256,
    },
    /// The offered fee is below the chain's constant base fee.
    #[error("max fee per gas less than block base fee: baseFee: {BASE_FEE}")]
    FeeTooLow,
    /// A tip above the highest fee.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFee,
    /// Less gas than the transaction costs before the first instruction.
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas {
        /// The gas limit.
        have: u64,
        /// The least that could do.
        want: u64,
    },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {have})")]
    GasAboveCap {
        /// The gas limit.
        have: u64,
        /// The cap on one transaction.
        cap: u64,
    },
    /// More gas than a block has left.
    #[error("exceeds block gas limit")]
    GasAboveBlock,
    /// EIP-3860.
    #[error("max initcode size exceeded")]
    InitCodeTooLarge,
    /// EIP-3607.
    #[error("sender not an eoa: address {0} has code")]
    SenderIsContract(Address),
    /// Any rule of the EVM not listed above.
    #[error("invalid transaction: {0}")]
    Invalid(String),
}

impl Refusal {
    /// Puts revm's verdict into geth's words.
    pub(crate) fn from_evm(error: InvalidTransaction, sender: Address) -> Self {
        use InvalidTransaction as E;
        match error {
            E::NonceTooLow { tx, state } => Self::NonceTooLow { have: tx, next: state },
            E::NonceTooHigh { tx, state } => Self::NonceTooHigh { have: tx, next: state },
            E::LackOfFundForMaxFee { fee, balance } => Self::InsufficientFunds { address: sender, have: *balance, want: *fee },
            E::GasPriceLessThanBasefee => Self::FeeTooLow,
            E::PriorityFeeGreaterThanMaxFee => Self::TipAboveFee,
            E::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                Self::IntrinsicGas { have: gas_limit, want: initial_gas }
            }
            E::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => Self::IntrinsicGas { have: gas_limit, want: gas_floor },
            E::TxGasLimitGreaterThanCap { gas_limit, cap } => Self::GasAboveCap { have: gas_limit, cap },
            E::CallerGasLimitMoreThanBlock => Self::GasAboveBlock,
            E::CreateInitCodeSizeLimit => Self::InitCodeTooLarge,
            E::RejectCallerWithCode => Self::SenderIsContract(sender),
            other => Self::Invalid(other.to_string()),
        }
    }
}

/// Decodes a raw signed transaction and recovers its sender.
///
/// # Errors
/// [`Refusal`] if the bytes are too many, are no transaction of a supported type, or carry a
/// signature that is not canonical (EIP-2) or recovers nobody.
pub fn decode_transaction(raw: &[u8]) -> Result<Transaction, Refusal> {
    if raw.len() > MAX_TRANSACTION_BYTES {
        return Err(Refusal::Oversized { size: raw.len() });
    }
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|error| Refusal::Malformed(error.to_string()))?;
    if !matches!(envelope, TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_)) {
        return Err(Refusal::UnsupportedType(envelope.ty()));
    }
    let signature = envelope.signature();
    // EIP-2: of the two equivalent signatures only the one with the low s counts.
    if signature.normalize_s().is_some() {
        return Err(Refusal::BadSignature);
    }
    let sender = signature.recover_address_from_prehash(&envelope.signature_hash()).map_err(|_| Refusal::BadSignature)?;
    Ok(Transaction::new_unchecked(envelope, sender))
}

/// Refuses a transaction that was signed for another chain, or for any chain.
pub(crate) fn check_chain_id(transaction: &Transaction, want: u64) -> Result<(), Refusal> {
    match transaction.chain_id() {
        Some(have) if have == want => Ok(()),
        Some(have) => Err(Refusal::WrongChain { have, want }),
        None => Err(Refusal::NotReplayProtected),
    }
}
