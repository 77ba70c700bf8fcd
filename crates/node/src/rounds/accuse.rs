//! Showing an offence to the court, where it costs the offender its bond.
//!
//! Only what the offender itself has signed is sent, and only the contract judges it. A chain that cannot be reached is no
//! offence of anybody: then the same proof is sent again, and nothing else.

use super::OpenRound;
use crate::metrics::Metrics;
use crate::service::Service;
use consilium_core::round::Offender;
use consilium_ledger::Error;
use std::sync::Arc;
use std::time::Duration;

/// Every node files: each waits a little longer than the one before it, so that mostly one of them pays for gas.
const TURN: Duration = Duration::from_secs(1);
const FIRST: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(300);

/// Files the proof, until the contract has answered.
pub(super) async fn file(service: Arc<Service>, round: Arc<OpenRound>, offender: Offender) {
    let ((study, number), node) = (round.id(), offender.node());
    if node == round.me {
        tracing::error!(study, round = number, "this node's own statements prove an offence: the others will show them");
        return;
    }
    tokio::time::sleep(TURN * round.terms.rank(round.me) as u32).await;
    let mut pause = FIRST;
    while !round.is_dismissed() {
        match service.ledger().accuse(&service.wallet, &offender).await {
            Ok(receipt) => {
                let (transaction, gas) = (receipt.transaction, receipt.gas_used);
                tracing::warn!(study, round = number, node, %transaction, gas, "the offence is proved on chain");
                return;
            }
            Err(Error::Reverted(revert)) if revert.is("NotLiable") => {
                tracing::info!(study, round = number, node, "the node is convicted already, or answers for the study no more");
                return;
            }
            Err(error) => {
                Metrics::add(&service.metrics.chain_errors, 1);
                if !error.is_temporary() {
                    let stays = "the proof of an offence was refused; it stays among the round's evidence";
                    tracing::error!(study, round = number, node, %error, "{stays}");
                    return;
                }
                tracing::warn!(study, round = number, node, %error, "the proof of an offence could not be sent: trying again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SLOWEST);
    }
}
