//! Blocks with the roots that an Ethereum client would compute.

use alloy::{
    consensus::{
        EMPTY_OMMER_ROOT_HASH, Header, ReceiptEnvelope, Sealable, Sealed, Transaction as _, TxEnvelope,
        constants::EMPTY_WITHDRAWALS,
        proofs::{calculate_receipt_root, calculate_transaction_root},
        transaction::Recovered,
    },
    eips::eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_primitives::{Address, B64, B256, Bloom, U256};

use crate::state::State;

/// A signed transaction whose sender has been recovered from its signature.
pub type Transaction = Recovered<TxEnvelope>;

/// A transaction in a block and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The transaction.
    pub transaction: Transaction,
    /// Its receipt, as the receipts root commits to it.
    pub receipt: ReceiptEnvelope,
}

impl Included {
    /// The address a deployment got, whether or not the deployment succeeded.
    pub fn contract_address(&self) -> Option<Address> {
        let creates = self.transaction.kind().is_create();
        creates.then(|| self.transaction.signer().create(self.transaction.nonce()))
    }
}

/// An executed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header with its hash.
    pub header: Sealed<Header>,
    /// Its transactions, in order.
    pub included: Vec<Included>,
}

impl Block {
    /// Fills the roots and the bloom of `header` and seals it.
    pub(crate) fn new(mut header: Header, included: Vec<Included>, state: &State) -> Self {
        let (transactions_root, receipts_root, logs_bloom) = commitments(&included);
        header.state_root = state.root();
        header.transactions_root = transactions_root;
        header.receipts_root = receipts_root;
        header.logs_bloom = logs_bloom;
        Self { header: header.seal_slow(), included }
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        self.header.hash()
    }

    /// The block's number; genesis is 0.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Seconds since 1970.
    pub fn timestamp(&self) -> u64 {
        self.header.timestamp
    }

    /// The gas that transaction `index` used, as its sender paid for it.
    pub(crate) fn gas_used(&self, index: usize) -> u64 {
        let upto = |end: usize| self.included[..end].last().map_or(0, |tx| tx.receipt.cumulative_gas_used());
        upto(index + 1).saturating_sub(upto(index))
    }

    /// The number of logs in the block before transaction `index`.
    pub(crate) fn logs_before(&self, index: usize) -> usize {
        self.included[..index].iter().map(|tx| tx.receipt.logs().len()).sum()
    }

    /// Whether header and body belong together; used on what comes back from disk.
    pub(crate) fn is_consistent(&self) -> bool {
        let (transactions, receipts, bloom) = commitments(&self.included);
        let header = self.header.inner();
        header.hash_slow() == self.header.hash()
            && header.transactions_root == transactions
            && header.receipts_root == receipts
            && header.logs_bloom == bloom
    }
}

fn commitments(included: &[Included]) -> (B256, B256, Bloom) {
    let transactions: Vec<_> = included.iter().map(|tx| tx.transaction.inner()).collect();
    let receipts: Vec<_> = included.iter().map(|tx| &tx.receipt).collect();
    let mut bloom = Bloom::ZERO;
    for receipt in &receipts {
        bloom |= *receipt.logs_bloom();
    }
    (calculate_transaction_root(&transactions), calculate_receipt_root(&receipts), bloom)
}

/// A header in the shape of the Osaka fork. There is no beacon chain below, so what would come from
/// it is zero or empty; `PREVRANDAO` in particular is zero and not random.
pub(crate) fn empty_header(base_fee: u64, gas_limit: u64) -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: Address::ZERO,
        difficulty: U256::ZERO,
        mix_hash: B256::ZERO,
        nonce: B64::ZERO,
        gas_limit,
        base_fee_per_gas: Some(base_fee),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
