//! What operators the nodes of a committee name. A node registers once, so that a name is read once.

use crate::service::locked;
use alloy_primitives::Address;
use consilium_ledger::{Error, Ledger};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The names that each endpoint shows, by its URL.
#[derive(Debug, Default)]
pub(crate) struct Operators(Mutex<BTreeMap<String, BTreeMap<Address, String>>>);

impl Operators {
    /// The names of these nodes, as they are compared: without regard to case and to spaces at the ends. All
    /// registrations are read again for a node that is not known yet.
    ///
    /// # Errors
    /// Faults of the endpoint.
    pub(crate) async fn of(&self, ledger: &Ledger, nodes: &[Address]) -> Result<BTreeMap<Address, String>, Error> {
        let pick = |known: &BTreeMap<Address, String>| -> BTreeMap<Address, String> {
            nodes.iter().filter_map(|node| Some((*node, known.get(node)?.clone()))).collect()
        };
        let found = locked(&self.0).get(ledger.endpoint()).map(pick).unwrap_or_default();
        if found.len() == nodes.len() {
            return Ok(found);
        }
        let identities = ledger.identities().await?.into_iter();
        let all = identities.map(|(node, identity)| (node, identity.operator.trim().to_lowercase())).collect();
        let found = pick(&all);
        locked(&self.0).insert(ledger.endpoint().to_owned(), all);
        Ok(found)
    }
}
