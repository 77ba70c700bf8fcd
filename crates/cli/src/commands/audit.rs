//! `consilium audit`: what holds, what does not, and why.

use super::connection::{ChainOptions, NodeOptions};
use super::keys::{holder, read_signing_key};
use crate::failure::Failure;
use crate::output::{print, spinner};
use alloy_primitives::Address;
use consilium_audit::{Auditor, Report, Verdict};
use std::path::PathBuf;

/// Audit a study. Without a key from the chain and the nodes' public statements; with a key that the sponsor has named, also
/// from contributions, output shares and aggregates.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    nodes: NodeOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
    /// Only these rounds; repeat it.
    #[arg(long, value_delimiter = ',')]
    round: Vec<u64>,
    /// Key file of an auditor whom the sponsor has named: full audit.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_KEY")]
    key: Option<PathBuf>,
    /// Contract in whose name the key asks, such as the sponsor's Safe: one that accepts the key's signature alone (ERC-1271).
    #[arg(long, value_name = "ADDRESS", requires = "key")]
    account: Option<Address>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let key = arguments.key.as_deref().map(read_signing_key).transpose()?;
    let full = key.is_some();
    let endpoints = arguments.chain.endpoints().await?;
    let holder = match key {
        Some(key) => Some(holder(endpoints.primary(), arguments.account, key).await?),
        None => None,
    };
    let mut auditor = Auditor::new(endpoints, &arguments.nodes.urls(), holder).map_err(Failure::usage)?;
    if !arguments.round.is_empty() {
        auditor = auditor.with_rounds(arguments.round.iter().copied());
    }
    let work = spinner("auditing");
    let report = if full { auditor.audit_full(arguments.study).await } else { auditor.audit_public(arguments.study).await };
    work.finish_and_clear();
    print(arguments.json, &report, Report::to_string);
    match report.verdict {
        Verdict::Pass => Ok(()),
        Verdict::Fail => Err(Failure::wrong("the audit failed")),
        Verdict::Incomplete => Err(Failure::unreachable("the audit is incomplete: something essential could not be checked")),
    }
}
