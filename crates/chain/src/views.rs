//! Blocks, transactions, receipts and logs in the shapes that the JSON-RPC answers have.

use alloy::{
    consensus::{BlockHeader as _, Transaction as _},
    eips::{Encodable2718, eip4895::Withdrawals},
    network::primitives::BlockTransactions,
    rlp::Encodable,
    rpc::types::{Block as RpcBlock, Header, Log, Transaction, TransactionReceipt},
};
use alloy_primitives::U256;

use crate::block::Block;

/// A block with hashes or with whole transactions.
pub(crate) fn block(block: &Block, full: bool) -> RpcBlock {
    let mut header = Header::from_sealed(block.header.clone());
    header.size = Some(U256::from(size(block)));
    let transactions = if full {
        let all = (0..block.included.len()).map(|at| transaction(block, at));
        BlockTransactions::Full(all.collect())
    } else {
        let hashes = block.included.iter().map(|tx| *tx.transaction.tx_hash());
        BlockTransactions::Hashes(hashes.collect())
    };
    RpcBlock::new(header, transactions).with_withdrawals(Some(Withdrawals::default()))
}

/// The size of the block's RLP but for the few bytes of its list headers.
fn size(block: &Block) -> usize {
    let body: usize = block.included.iter().map(|tx| tx.transaction.inner().encode_2718_len()).sum();
    block.header.inner().length() + body
}

/// Transaction `at` of the block.
pub(crate) fn transaction(block: &Block, at: usize) -> Transaction {
    let tx = &block.included[at];
    Transaction {
        inner: tx.transaction.clone(),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        transaction_index: Some(at as u64),
        effective_gas_price: Some(tx.gas_price(block.header.base_fee_per_gas())),
        block_timestamp: Some(block.timestamp()),
    }
}

/// The receipt of transaction `at`.
pub(crate) fn receipt(block: &Block, at: usize) -> TransactionReceipt {
    let tx = &block.included[at];
    let mut logs = logs(block, at).into_iter();
    let inner = tx.receipt.clone().map_logs(|log| {
        // `logs` has one entry for each log of this receipt, in the same order.
        logs.next().unwrap_or_else(|| Log { inner: log, ..Log::default() })
    });
    TransactionReceipt {
        inner,
        transaction_hash: *tx.transaction.tx_hash(),
        transaction_index: Some(at as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        gas_used: block.gas_used(at),
        effective_gas_price: tx.gas_price(block.header.base_fee_per_gas()),
        blob_gas_used: None,
        blob_gas_price: None,
        from: tx.transaction.signer(),
        to: tx.transaction.to(),
        contract_address: tx.contract_address(),
    }
}

/// The logs of transaction `at`.
pub(crate) fn logs(block: &Block, at: usize) -> Vec<Log> {
    let tx = &block.included[at];
    let first = block.logs_before(at);
    let numbered = tx.receipt.logs().iter().zip(first..);
    numbered
        .map(|(log, index)| Log {
            inner: log.clone(),
            block_hash: Some(block.hash()),
            block_number: Some(block.number()),
            block_timestamp: Some(block.timestamp()),
            transaction_hash: Some(*tx.transaction.tx_hash()),
            transaction_index: Some(at as u64),
            log_index: Some(index as u64),
            removed: false,
        })
        .collect()
}
