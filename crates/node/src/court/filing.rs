//! Showing offences to the contracts, where they cost the offender its bond, or a site its place.
//!
//! Only what the offender itself has signed, or what opens from settled roots, is sent, and only the contract judges it.
//! A chain that cannot be reached is no offence of anybody: then the same proof is sent again, and nothing else. What
//! the contract has answered is marked, so that a node that was started again files what is left.

use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::{Database, StoreError};
use alloy_primitives::Address;
use consilium_core::accusation::{Accusation, Charge};
use consilium_ledger::{Error, Event, Receipt, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every node files: each waits a little longer than the one before it, so that mostly one of them pays for gas.
const TURN: Duration = Duration::from_secs(1);
const FIRST: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(300);

/// What the contract does not take back.
struct Answer(String);

/// When a proof is to be sent next.
struct Due {
    at: Instant,
    pause: Duration,
}

/// Files what is kept and not answered, until the node stops.
pub(crate) async fn run(service: Arc<Service>) {
    let mut due: BTreeMap<String, Due> = BTreeMap::new();
    loop {
        if let Err(error) = file_due(&service, &mut due).await {
            tracing::error!(%error, "evidence cannot be read or marked as answered: trying again; check the disk");
            tokio::time::sleep(FIRST).await;
            continue;
        }
        let next = due.values().map(|due| due.at).min();
        let wake = next.map_or(SLOWEST, |next| next.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = tokio::time::sleep(wake) => {}
            () = service.evidence.notified() => {}
        }
    }
}

async fn file_due(service: &Service, due: &mut BTreeMap<String, Due>) -> Result<(), StoreError> {
    let open = service.database.run(Database::unanswered).await?;
    due.retain(|key, _| open.iter().any(|(open, _)| open == key));
    for (key, accusation) in open {
        if !due.contains_key(&key) {
            let at = Instant::now() + TURN * rank(service, &accusation).await;
            due.insert(key.clone(), Due { at, pause: FIRST });
        }
        let Some(turn) = due.get_mut(&key).filter(|turn| turn.at <= Instant::now()) else { continue };
        match file(service, &accusation).await {
            Some(Answer(words)) => {
                due.remove(&key);
                service.database.run(move |db| db.answer(&key, &words)).await?;
            }
            None => {
                turn.at = Instant::now() + turn.pause;
                turn.pause = (turn.pause * 2).min(SLOWEST);
            }
        }
    }
    Ok(())
}

/// This node's place in the order of filing: another one in each round.
async fn rank(service: &Service, accusation: &Accusation) -> u32 {
    let (study, round) = (accusation.study, accusation.round);
    let Ok(Some(committee)) = service.committee_of(study, round, round).await else { return 0 };
    let n = committee.members().len() as u64;
    committee.index_of(service.address()).map_or(n, |me| (me as u64 + n - round % n) % n) as u32
}

/// Files one proof, and has the compensation of the harmed sites assigned. `None`: it is to be sent again.
async fn file(service: &Service, accusation: &Accusation) -> Option<Answer> {
    let (study, round) = (accusation.study, accusation.round);
    if accusation.node() == Some(service.address()) {
        tracing::error!(study, round, "this node's own statements prove an offence: the others will show them");
        return Some(Answer("this node's own".to_owned()));
    }
    match service.ledger().accuse(&service.wallet, accusation).await {
        Ok(receipt) => {
            let (transaction, gas) = (receipt.transaction, receipt.gas_used);
            tracing::warn!(study, round, offender = ?accusation.node(), %transaction, gas, "the offence is proved on chain");
            assign(service, study, &convicted(&receipt)).await.then(|| Answer(format!("proved in {transaction}")))
        }
        Err(Error::Reverted(revert)) if revert.is("NotLiable") || revert.is("AlreadyStruck") => {
            tracing::info!(study, round, answer = %revert, "the offence was proved before, or its author answers for it no more");
            let nodes: Vec<Address> = accusation.node().into_iter().collect();
            assign(service, study, &nodes).await.then(|| Answer(revert.to_string()))
        }
        Err(error) => {
            Metrics::add(&service.metrics.chain_errors, 1);
            refused(service, accusation, error).await
        }
    }
}

fn convicted(receipt: &Receipt) -> Vec<Address> {
    let node = |event: &Event| if let Event::Convicted(conviction) = event { Some(conviction.node) } else { None };
    receipt.events.iter().filter_map(|event| node(&event.event)).collect()
}

/// Writes down whose the bonds are. Whether that is done, or was before.
async fn assign(service: &Service, study: u64, nodes: &[Address]) -> bool {
    for &node in nodes {
        match service.ledger().assign_compensation(&service.wallet, study, node).await {
            Ok(receipt) => {
                let transaction = receipt.transaction;
                tracing::info!(study, %node, %transaction, "its bond is assigned to the harmed sites");
            }
            Err(Error::Reverted(revert)) => tracing::debug!(study, %node, %revert, "nothing to assign"),
            Err(error) => {
                tracing::warn!(study, %node, %error, "a lost bond could not be assigned yet: trying again");
                return false;
            }
        }
    }
    true
}

async fn refused(service: &Service, accusation: &Accusation, error: Error) -> Option<Answer> {
    let (study, round) = (accusation.study, accusation.round);
    let waits = match &error {
        // The settlement may be in a block that is not there yet, or not any more.
        Error::Reverted(revert) => {
            (revert.is("NotTheSettlement") || revert.is("NotCertified")) && may_come(service, study, round).await
        }
        Error::Unknown(_) => may_come(service, study, round).await,
        _ => true,
    };
    if waits {
        tracing::warn!(study, round, %error, "the proof of an offence could not be sent: trying again");
        return None;
    }
    if matches!(accusation.charge, Charge::WrongSettlement(_)) {
        tracing::info!(study, round, %error, "the settlement was proved wrong before, or is off the record");
    } else {
        tracing::error!(study, round, %error, "the proof of an offence was refused; it stays among the round's evidence");
    }
    Some(Answer(error.to_string()))
}

/// Whether the round may still get the state that a proof needs.
async fn may_come(service: &Service, study: u64, round: u64) -> bool {
    let Ok(history) = service.ledger().history(study).await else { return true };
    let over = |found: consilium_ledger::Round| matches!(found.state, State::Void | State::Abandoned | State::Fraudulent);
    // A round beyond those that the endpoint shows may be shown later.
    round > history.rounds() || (history.is_on_record(round) && !history.round(round).await.is_ok_and(over))
}
