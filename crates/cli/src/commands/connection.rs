//! The options by which commands reach a chain and the nodes.

use crate::failure::Failure;
use alloy_primitives::Address;
use consilium_ledger::{Addresses, Endpoints, Ledger};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the chain is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ChainOptions {
    /// URL of a JSON-RPC endpoint of the chain; repeat it to compare several.
    #[arg(long, value_name = "URL", env = "CONSILIUM_RPC", required = true, value_delimiter = ',')]
    pub(crate) rpc: Vec<String>,
    /// File with the contracts' addresses, as `consilium chain deploy` writes it.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_ADDRESSES", default_value = "addresses.json")]
    pub(crate) addresses: PathBuf,
}

impl ChainOptions {
    pub(crate) fn addresses(&self) -> Result<Addresses, Failure> {
        Addresses::load(&self.addresses).map_err(Failure::usage)
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger, Failure> {
        let Some(url) = self.rpc.first() else { return Err(Failure::usage("give at least one --rpc URL")) };
        Ok(Ledger::connect(url, self.addresses()?).await?)
    }

    pub(crate) async fn endpoints(&self) -> Result<Endpoints, Failure> {
        Ok(Endpoints::connect(&self.rpc, self.addresses()?).await?)
    }
}

/// Where the committee's nodes are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NodeOptions {
    /// A node's address and URL, as `0x..=http://host:port`; repeat it for every node.
    #[arg(long = "node", value_name = "ADDRESS=URL", env = "CONSILIUM_NODES", value_delimiter = ',', value_parser = node)]
    pub(crate) nodes: Vec<(Address, String)>,
}

impl NodeOptions {
    pub(crate) fn urls(&self) -> BTreeMap<Address, String> {
        self.nodes.iter().cloned().collect()
    }
}

pub(crate) fn node(text: &str) -> Result<(Address, String), String> {
    let (address, url) = text.split_once('=').ok_or("write it as 0x..=http://host:port")?;
    let address = address.parse().map_err(|error| format!("{address:?} is not an address: {error}"))?;
    if url.starts_with("http://") || url.starts_with("https://") {
        Ok((address, url.trim_end_matches('/').to_owned()))
    } else {
        Err(format!("{url:?} is not an http:// or https:// URL"))
    }
}
