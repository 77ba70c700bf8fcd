//! Where the contracts are: the one thing that a party must be told about a chain.

use crate::error::FileError;
use alloy_primitives::Address;
use consilium_core::eip712::Domain;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads a table of URLs by address, for `#[serde(deserialize_with)]`. An address has many spellings, of which a map would
/// keep one and pass over the others without a word.
///
/// # Errors
/// The deserializer's, for a key that is no address and for an address that is there twice.
pub fn urls_by_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Address, String>, D::Error> {
    let mut urls = BTreeMap::new();
    for (key, url) in BTreeMap::<String, String>::deserialize(deserializer)? {
        let address: Address = key.parse().map_err(|_| D::Error::custom(format!("{key:?} is no address")))?;
        if urls.insert(address, url).is_some() {
            return Err(D::Error::custom(format!("{address} is there twice, in two spellings: leave one out")));
        }
    }
    Ok(urls)
}

/// The contracts of one deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// EIP-155 id of the chain they are on.
    pub chain_id: u64,
    /// The node registry.
    pub registry: Address,
    /// The contract of studies and rounds, which is also the domain of all signatures.
    pub consilium: Address,
    /// What sponsors pay in and what sites and nodes are paid from.
    pub treasury: Address,
    /// The licences that studies sell.
    pub licences: Address,
    /// The ERC-721 token whose owner is a study's sponsor.
    pub study_token: Address,
    /// Who is shown proofs about sets and rewards.
    pub set_court: Address,
    /// Who judges the results of sums.
    pub sum_kind: Address,
    /// The accounts of what studies may reveal.
    pub privacy_budget: Address,
    /// A currency for test networks, if one was deployed with the contracts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_token: Option<Address>,
    /// A block not after the deployment: nothing older is searched for events.
    #[serde(default)]
    pub deployed_at: u64,
}

impl Addresses {
    /// The EIP-712 domain of everything that is signed about this deployment.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain { chain_id: self.chain_id, contract: self.consilium }
    }

    /// Reads a file that [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`FileError`] that names the file.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        serde_json::from_str(&text).map_err(|source| FileError::Parse { path: path.to_owned(), source })
    }

    /// Writes the addresses as a JSON file with a field for every one of this type.
    ///
    /// # Errors
    /// [`FileError`] that names the file.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(self).map_err(|source| FileError::Parse { path: path.to_owned(), source })?;
        std::fs::write(path, text + "\n").map_err(|source| FileError::Write { path: path.to_owned(), source })
    }
}
