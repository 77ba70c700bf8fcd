//! What nodes say of themselves when they register.

use crate::contracts::NodeRegistry as R;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::event::Event;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;
use alloy_primitives::Address;
use std::collections::BTreeMap;

/// Who runs a node and under which law, in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who runs it.
    pub operator: String,
    /// Under which law.
    pub jurisdiction: String,
}

impl Ledger {
    /// The identity of every node that has registered so far. A node registers once.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn identities(&self) -> Result<BTreeMap<Address, Identity>, Error> {
        let filter = Filter::new().address(self.addresses().registry).event_signature(R::NodeRegistered::SIGNATURE_HASH);
        let head = self.head().await?.number;
        let logs = self.logs(&filter, self.addresses().deployed_at, head).await?;
        let registered = self.decode(&logs).events.into_iter().filter_map(|event| match event.event {
            Event::NodeRegistered { node, operator, jurisdiction, .. } => Some((node, Identity { operator, jurisdiction })),
            _ => None,
        });
        Ok(registered.collect())
    }
}
