//! The two transactions of a node. Somebody else being first is the normal case for all but one of them.

use super::OpenRound;
use crate::metrics::Metrics;
use crate::service::Service;
use alloy_primitives::B256;
use consilium_core::eip712::{Settlement, SignerSet, Vote};
use consilium_ledger::{Error, Receipt};
use std::sync::Arc;

/// Carries out `Effect::Certify`.
pub(super) async fn certify(service: Arc<Service>, round: Arc<OpenRound>, set_root: B256, size: u32, votes: SignerSet) {
    let (study, number) = round.id();
    let vote = Vote { study, round: number, setRoot: set_root, size };
    let sent = service.ledger().certify(&service.wallet, &vote, &votes).await;
    report(&service, "certify", study, number, sent);
}

/// Carries out `Effect::Settle`.
pub(super) async fn settle(service: Arc<Service>, settlement: Settlement, share_roots: Vec<B256>, signatures: SignerSet) {
    let sent = service.ledger().settle(&service.wallet, &settlement, &share_roots, &signatures).await;
    report(&service, "settle", settlement.study, settlement.round, sent);
}

fn report(service: &Service, what: &str, study: u64, round: u64, sent: Result<Receipt, Error>) {
    service.look.notify_one();
    match sent {
        Ok(receipt) => tracing::info!(study, round, gas = receipt.gas_used, transaction = %receipt.transaction, "{what}: mined"),
        Err(Error::Reverted(revert)) if revert.is("WrongState") => {
            tracing::debug!(study, round, %revert, "{what}: somebody was first");
        }
        Err(error) => {
            Metrics::add(&service.metrics.chain_errors, 1);
            tracing::warn!(study, round, %error, "{what}: the transaction failed; the round goes on and it will be tried again");
        }
    }
}
