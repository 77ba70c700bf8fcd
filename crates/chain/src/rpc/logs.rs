//! `eth_getLogs`.

use alloy::rpc::types::{Filter, FilterBlockOption, Log};

use super::{RpcError, methods::number};
use crate::{chain::Chain, views};

/// The most logs in one answer; a filter that matches more is refused and must be narrowed.
pub const MAX_LOGS: usize = 50_000;

/// The logs that match, oldest first.
pub(super) fn logs(chain: &Chain, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    let (from, to) = range(chain, filter)?;
    let mut found = Vec::new();
    for number in from..=to {
        let Some(block) = chain.block(number) else { break };
        if !filter.matches_bloom(block.header.logs_bloom) {
            continue;
        }
        for at in 0..block.included.len() {
            let logs = views::logs(block, at).into_iter();
            found.extend(logs.filter(|log| filter.matches(&log.inner)));
        }
        if found.len() > MAX_LOGS {
            let why = format!("query returned more than {MAX_LOGS} results: narrow the range");
            return Err(RpcError::too_much(why));
        }
    }
    Ok(found)
}

fn range(chain: &Chain, filter: &Filter) -> Result<(u64, u64), RpcError> {
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = chain.block_by_hash(&hash).ok_or_else(|| RpcError::server("unknown block"))?;
            Ok((block.number(), block.number()))
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let from = number(chain, from_block.unwrap_or_default());
            let to = number(chain, to_block.unwrap_or_default());
            if from > to {
                return Err(RpcError::params("invalid block range params: from is after to"));
            }
            Ok((from, to.min(chain.head().number())))
        }
    }
}
