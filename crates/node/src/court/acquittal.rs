//! The bond that a wrong settlement took: whose share differs from one that Q nodes settled is convicted until that
//! settlement is proved wrong, and acquitted by anyone after that, as long as the round is on record.

use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::{Database, StoreError};
use consilium_ledger::Error;

/// Claims back what this node has lost by settlements that were proved wrong. A round stays among the frauds until it is
/// off the record, so that an acquittal that a reorganisation takes back is claimed again.
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

/// Whether the round is on record.
async fn claim_one(service: &Service, study: u64, round: u64) -> Result<bool, Error> {
    let ledger = service.ledger();
    let history = ledger.history(study).await?;
    // An endpoint that does not show the round yet has lost no record of it.
    if round <= history.rounds() && !history.is_on_record(round) {
        return Ok(false);
    }
    let pot = ledger.pot_of(study, service.address()).await?;
    if pot.is_some_and(|pot| pot.misreported && pot.round == round) {
        let receipt = ledger.acquit(&service.wallet, study, service.address()).await?;
        let (transaction, gas) = (receipt.transaction, receipt.gas_used);
        tracing::warn!(study, round, %transaction, gas, "this node was convicted by a wrong settlement and has its bond back");
    }
    Ok(true)
}
