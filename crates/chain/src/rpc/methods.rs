//! The standard methods, each a short function of the chain and its arguments.
//!
//! With one sequencer nothing that is in the chain is ever taken back, so the tags `latest`, `pending`,
//! `safe` and `finalized` all mean the head; `earliest` is genesis.

use std::sync::Arc;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    rpc::types::{FeeHistory, Filter, TransactionRequest},
};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Params, RpcError, logs};
use crate::{block::Block, chain::Chain, executor::BASE_FEE, state::State, views};

/// The most blocks that `eth_feeHistory` looks back, as in geth.
const MAX_FEE_HISTORY: u64 = 1024;

type Answer = Result<Value, RpcError>;

/// Whether `method` may add a block.
pub(crate) fn is_write(method: &str) -> bool {
    matches!(method, "eth_sendRawTransaction" | "eth_sendRawTransactionSync")
}

/// Answers a method that adds a block.
pub(crate) fn write(chain: &mut Chain, now: u64, method: &str, params: &Params) -> Answer {
    let raw: Bytes = params.required(0)?;
    let receipt = chain.submit(&raw, now)?;
    match method {
        "eth_sendRawTransactionSync" => value(receipt),
        _ => value(receipt.transaction_hash),
    }
}

/// Answers a method that only reads.
pub(crate) fn read(chain: &Chain, now: u64, method: &str, params: &Params) -> Answer {
    match method {
        "eth_chainId" => value(U64::from(chain.chain_id())),
        "eth_blockNumber" => value(U64::from(chain.head().number())),
        "eth_gasPrice" => value(U64::from(BASE_FEE)),
        // A tip buys nothing: there is one queue and it is served in order of arrival.
        "eth_maxPriorityFeePerGas" => value(U64::ZERO),
        "eth_feeHistory" => fee_history(chain, params),
        "eth_syncing" => value(false),
        "eth_accounts" => Ok(json!([])),
        "net_version" => value(chain.chain_id().to_string()),
        "net_listening" => value(true),
        "web3_clientVersion" => value(concat!("consilium-chain/", env!("CARGO_PKG_VERSION"))),
        "eth_getBlockByNumber" => block(block_at(chain, params)?, params),
        "eth_getBlockByHash" => block(chain.block_by_hash(&params.required(0)?), params),
        "eth_getBlockReceipts" => block_receipts(chain, params),
        "eth_getTransactionByHash" => transaction(chain, params),
        "eth_getTransactionReceipt" => value(chain.receipt(&params.required(0)?)),
        "eth_getTransactionCount" => account(chain, params, 1, |state, who| value(U64::from(state.nonce(who)))),
        "eth_getBalance" => account(chain, params, 1, |state, who| value(state.balance(who))),
        "eth_getCode" => account(chain, params, 1, |state, who| value(state.code(who))),
        "eth_getStorageAt" => storage(chain, params),
        "eth_call" => call(chain, now, params),
        "eth_estimateGas" => estimate(chain, now, params),
        "eth_getLogs" => value(logs::logs(chain, &params.required::<Filter>(0)?)?),
        _ => Err(RpcError::no_method(method)),
    }
}

fn value(answer: impl Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|error| RpcError::internal(error.to_string()))
}

/// The number a tag stands for; it may be beyond the head.
pub(super) fn number(chain: &Chain, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Latest | BlockNumberOrTag::Pending | BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized => {
            chain.head().number()
        }
    }
}

fn block_at<'a>(chain: &'a Chain, params: &Params) -> Result<Option<&'a Arc<Block>>, RpcError> {
    Ok(chain.block(number(chain, params.required(0)?)))
}

fn find(chain: &Chain, id: BlockId) -> Option<&Arc<Block>> {
    match id {
        BlockId::Hash(hash) => chain.block_by_hash(&hash.block_hash),
        BlockId::Number(tag) => chain.block(number(chain, tag)),
    }
}

/// The block whose state argument `at` asks for; the head if it is absent.
fn state_block(chain: &Chain, params: &Params, at: usize) -> Result<u64, RpcError> {
    let id = params.optional(at)?.unwrap_or(BlockId::latest());
    let block = find(chain, id).ok_or_else(|| RpcError::server("header not found"))?;
    Ok(block.number())
}

fn block(block: Option<&Arc<Block>>, params: &Params) -> Answer {
    let full = params.optional(1)?.unwrap_or(false);
    value(block.map(|block| views::block(block, full)))
}

fn block_receipts(chain: &Chain, params: &Params) -> Answer {
    value(find(chain, params.required(0)?).map(|block| chain.receipts(block)))
}

fn transaction(chain: &Chain, params: &Params) -> Answer {
    let hash: B256 = params.required(0)?;
    value(chain.transaction(&hash).map(|(block, at)| views::transaction(block, at)))
}

fn account(chain: &Chain, params: &Params, block: usize, answer: impl Fn(&State, Address) -> Answer) -> Answer {
    let address = params.required(0)?;
    let number = state_block(chain, params, block)?;
    answer(chain.state_at(number)?, address)
}

fn storage(chain: &Chain, params: &Params) -> Answer {
    let slot: U256 = params.required(1)?;
    account(chain, params, 2, |state, who| value(B256::from(state.storage(who, slot))))
}

fn call(chain: &Chain, now: u64, params: &Params) -> Answer {
    let request: TransactionRequest = params.required(0)?;
    params.unsupported(2, "state overrides")?;
    params.unsupported(3, "block overrides")?;
    let number = state_block(chain, params, 1)?;
    value(chain.call(&request, number, now)?)
}

fn estimate(chain: &Chain, now: u64, params: &Params) -> Answer {
    let request: TransactionRequest = params.required(0)?;
    params.unsupported(2, "state overrides")?;
    let number = state_block(chain, params, 1)?;
    value(U64::from(chain.estimate_gas(&request, number, now)?))
}

fn fee_history(chain: &Chain, params: &Params) -> Answer {
    let count: U64 = params.required(0)?;
    let newest = number(chain, params.required(1)?);
    let percentiles: Option<Vec<f64>> = params.optional(2)?;
    let head = chain.head().number();
    if newest > head {
        return Err(RpcError::server(format!("request beyond head block: {newest} > {head}")));
    }
    if percentiles.as_ref().is_some_and(|list| list.len() > 100) {
        return Err(RpcError::params("over the query limit 100: too many percentiles"));
    }
    let count = count.to::<u64>().min(MAX_FEE_HISTORY).min(newest + 1);
    let oldest = newest + 1 - count;
    let blocks = (oldest..=newest).take(count as usize).filter_map(|number| chain.block(number));
    let gas_used_ratio: Vec<_> = blocks.map(|block| block.header.gas_used as f64 / block.header.gas_limit as f64).collect();
    let length = gas_used_ratio.len();
    value(FeeHistory {
        base_fee_per_gas: vec![BASE_FEE.into(); length + 1],
        base_fee_per_blob_gas: vec![1; length + 1],
        blob_gas_used_ratio: vec![0.0; length],
        oldest_block: oldest,
        reward: percentiles.map(|list| vec![vec![0; list.len()]; length]),
        gas_used_ratio,
    })
}
