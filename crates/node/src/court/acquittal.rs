//! The bond that a wrong settlement took: whose share differs from one that Q nodes settled is convicted until that
//! settlement is proved wrong, and acquitted by anyone after that, as long as the round is on record.

use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::{Database, StoreError};
use consilium_ledger::Error;

/// Claims back what this node has lost by settlements that were proved wrong. Frauds that took nothing from it are put aside
/// after one look: studies that others make up cost no more.
pub(super) async fn claim(service: &Service) -> Result<(), StoreError> {
    for (study, round) in service.database.run(Database::frauds).await? {
        match claim_one(service, study, round).await {
            Ok(true) => {}
            Ok(false) => service.database.run(move |db| db.remove_fraud(study, round)).await?,
            Err(error) => {
                Metrics::add(&service.metrics.chain_errors, 1);
                tracing::warn!(study, round, %error, "a bond that a wrong settlement took could not be claimed yet: trying again");
            }
        }
    }
    Ok(())
}

/// Whether there is still something to claim.
async fn claim_one(service: &Service, study: u64, round: u64) -> Result<bool, Error> {
    let ledger = service.ledger();
    let pot = ledger.pot_of(study, service.address()).await?;
    if !pot.is_some_and(|pot| pot.misreported && pot.round == round) {
        return Ok(false);
    }
    match ledger.acquit(&service.wallet, study, service.address()).await {
        Ok(receipt) => {
            let (transaction, gas) = (receipt.transaction, receipt.gas_used);
            tracing::warn!(study, round, %transaction, gas, "this node was convicted by a wrong settlement and has its bond back");
            Ok(true)
        }
        // Off the record it is too late; otherwise the endpoint's blocks are not yet, or no more, those of the proof.
        Err(error @ Error::Reverted(_)) => {
            let history = ledger.history(study).await?;
            if round > history.rounds() || history.is_on_record(round) { Err(error) } else { Ok(false) }
        }
        Err(error) => Err(error),
    }
}
