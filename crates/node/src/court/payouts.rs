//! Bonds that proofs have taken, in the studies that this node answers for: once they are due it has them assigned to the
//! harmed sites, before anybody may send them to the sink. `consilium watch` pays the sites.

use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::{Database, StoreError};
use alloy_primitives::Address;
use consilium_ledger::Error;

/// Has every bond assigned that is due. One that nobody can be paid from is put aside.
pub(super) async fn assign(service: &Service) -> Result<(), StoreError> {
    for (study, node) in service.database.run(Database::taken).await? {
        match assign_one(service, study, node).await {
            Ok(true) => {}
            Ok(false) => service.database.run(move |db| db.remove_taken(study, &node)).await?,
            Err(error) => {
                Metrics::add(&service.metrics.chain_errors, 1);
                tracing::debug!(study, %node, %error, "a lost bond could not be assigned yet: trying again");
            }
        }
    }
    Ok(())
}

/// Whether there is still something to do.
async fn assign_one(service: &Service, study: u64, node: Address) -> Result<bool, Error> {
    let ledger = service.ledger();
    let Some(pot) = ledger.pot_of(study, node).await? else { return Ok(false) };
    if pot.is_assigned() || pot.round == 0 || pot.amount.is_zero() || !ledger.bond(study, service.address()).await?.liable {
        return Ok(false);
    }
    if ledger.head().await?.timestamp < pot.due {
        return Ok(true);
    }
    match ledger.assign_compensation(&service.wallet, study, node, pot.round).await {
        Ok(receipt) => {
            let (transaction, round) = (receipt.transaction, pot.round);
            tracing::info!(study, round, %node, %transaction, "its bond is assigned to the harmed sites");
            Ok(false)
        }
        // Somebody was faster, or no site is to be paid: its round was not settled, or not rightly.
        Err(Error::Reverted(revert)) => {
            tracing::debug!(study, %node, %revert, "nothing to assign");
            Ok(false)
        }
        Err(Error::Unknown(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
