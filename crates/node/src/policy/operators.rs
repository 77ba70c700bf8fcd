//! What operators the nodes of a committee name. A node registers once, so that a name is read once.

use crate::service::locked;
use alloy_primitives::Address;
use consilium_ledger::{Error, Event, Ledger};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Blocks whose events are in memory at once while names are looked for.
const STRETCH: u64 = 10_000;

/// The names that each endpoint shows, by its URL.
#[derive(Debug, Default)]
pub(crate) struct Operators(Mutex<BTreeMap<String, BTreeMap<Address, String>>>);

impl Operators {
    /// The names of these nodes, as they are compared: without regard to case and to spaces at the ends. All events since the
    /// deployment are read for a node that is not known yet.
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
        let all = registered(ledger).await?;
        let found = pick(&all);
        locked(&self.0).insert(ledger.endpoint().to_owned(), all);
        Ok(found)
    }
}

async fn registered(ledger: &Ledger) -> Result<BTreeMap<Address, String>, Error> {
    let (mut next, head) = (ledger.addresses().deployed_at, ledger.head().await?.number);
    let mut names = BTreeMap::new();
    while next <= head {
        let last = head.min(next.saturating_add(STRETCH - 1));
        for event in ledger.events(next, last).await?.events {
            if let Event::NodeRegistered { node, operator, .. } = event.event {
                names.insert(node, operator.trim().to_lowercase());
            }
        }
        next = last + 1;
    }
    Ok(names)
}
