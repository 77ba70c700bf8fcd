//! Showing offences to the contracts, where they cost the offender its bond, or a site its place.
//!
//! Only what the offender itself has signed, or what opens from settled roots, is sent, and only the contract judges it.
//! A chain that cannot be reached is no offence of anybody: then the same proof is sent again, and nothing else. What
//! the contract has answered in a final block is marked, so that a node that was started again files what is left, and
//! what a reorganisation took back. A share that differs from a settlement is shown once that settlement was checked.

use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::{Database, StoreError, Verdict};
use alloy_primitives::B256;
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::params::Finality;
use consilium_ledger::{Error, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every node files: each waits a little longer than the one before it, so that mostly one of them pays for gas.
const TURN: Duration = Duration::from_secs(1);
const FIRST: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(300);

/// Why a piece of evidence needs no more filing.
struct Answer(String);

/// When a proof is to be sent next.
struct Due {
    at: Instant,
    pause: Duration,
    /// It waits for the check of the settlement that it is held against.
    waits_for_check: bool,
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
            () = service.evidence.notified() => {
                due.values_mut().filter(|turn| turn.waits_for_check).for_each(|turn| turn.at = Instant::now());
            }
        }
    }
}

async fn file_due(service: &Service, due: &mut BTreeMap<String, Due>) -> Result<(), StoreError> {
    let open = service.database.run(Database::unanswered).await?;
    due.retain(|key, _| open.iter().any(|(open, _)| open == key));
    for (key, accusation) in open {
        if !due.contains_key(&key) {
            let at = Instant::now() + TURN * rank(service, &accusation).await;
            due.insert(key.clone(), Due { at, pause: FIRST, waits_for_check: false });
        }
        let Some(turn) = due.get_mut(&key).filter(|turn| turn.at <= Instant::now()) else { continue };
        let held_against = standing(service, &accusation).await?;
        turn.waits_for_check = matches!(held_against, Standing::Unchecked);
        let answer = match held_against {
            Standing::Fit => file(service, &accusation).await,
            Standing::Unchecked => None,
            Standing::Unfit(words) => Some(Answer(words.to_owned())),
        };
        match answer {
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

/// How the settlement stands that a share is held against.
enum Standing {
    /// The evidence may be shown: the settlement is sound, or has no part in it.
    Fit,
    /// The settlement is not checked yet. Whoever settles a wrong one makes honest shares differ from it.
    Unchecked,
    /// The share proves nothing; why, in words.
    Unfit(&'static str),
}

async fn standing(service: &Service, accusation: &Accusation) -> Result<Standing, StoreError> {
    let Charge::WrongShareRoot { statements, .. } = &accusation.charge else { return Ok(Standing::Fit) };
    let (study, round) = (accusation.study, accusation.round);
    let verdict = service.database.run(move |db| db.verdict(study, round)).await?;
    if verdict == Some(Verdict::Sound) || is_foreign(service, accusation, statements[0].set_root).await {
        return Ok(Standing::Fit);
    }
    Ok(match verdict {
        Some(Verdict::Wrong) => Standing::Unfit("not shown: the settlement that the share differs from is wrong"),
        Some(Verdict::OutOfReach) => Standing::Unfit("not shown: the settlement that the share differs from was not checked"),
        _ => Standing::Unchecked,
    })
}

/// Whether a share is known to be of another set than the certified one: then no settlement has a part in it.
async fn is_foreign(service: &Service, accusation: &Accusation, set_root: B256) -> bool {
    let found = service.ledger().round(accusation.study, accusation.round).await.ok();
    found.and_then(|round| round.certificate).is_some_and(|certified| certified.vote.setRoot != set_root)
}

/// This node's place in the order of filing: another one in each round.
async fn rank(service: &Service, accusation: &Accusation) -> u32 {
    let (study, round) = (accusation.study, accusation.round);
    let Ok(found) = service.ledger().round(study, round).await else { return 0 };
    let committee = &found.terms.committee;
    let n = committee.members().len() as u64;
    committee.index_of(service.address()).map_or(n, |me| (me as u64 + n - round % n) % n) as u32
}

/// Files one proof. `None`: it is to be sent again, also when it was
/// taken by a block that is not final yet.
async fn file(service: &Service, accusation: &Accusation) -> Option<Answer> {
    let (study, round) = (accusation.study, accusation.round);
    if accusation.node() == Some(service.address()) {
        tracing::error!(study, round, "this node's own statements prove an offence: the others will show them");
        return Some(Answer("this node's own".to_owned()));
    }
    // The contract takes the proof of a foreign site again, for its gas and nothing else.
    if matches!(accusation.charge, Charge::ForeignSite(_)) && is_answered_by(service, accusation, Finality::Instant).await {
        return is_answered(service, accusation).await.then(|| Answer("no voter answers for the set any more".to_owned()));
    }
    match service.ledger().accuse(&service.wallet, accusation).await {
        Ok(receipt) => {
            let (transaction, gas) = (receipt.transaction, receipt.gas_used);
            tracing::warn!(study, round, offender = ?accusation.node(), %transaction, gas, "the offence is proved on chain");
            None
        }
        Err(Error::Reverted(revert)) if revert.is("NotLiable") || revert.is("AlreadyStruck") => {
            tracing::debug!(study, round, answer = %revert, "the offence was proved before, or its author answers for it no more");
            is_answered(service, accusation).await.then(|| Answer(revert.to_string()))
        }
        Err(error) => {
            Metrics::add(&service.metrics.chain_errors, 1);
            refused(service, accusation, error).await
        }
    }
}

/// Whether the answer is in a final block. Where that cannot be told, it is not.
async fn is_answered(service: &Service, accusation: &Accusation) -> bool {
    let (study, round) = (accusation.study, accusation.round);
    let Ok(found) = service.ledger().round(study, round).await else { return false };
    is_answered_by(service, accusation, found.terms.policy.finality).await
}

/// The same by a rule of the caller's.
async fn is_answered_by(service: &Service, accusation: &Accusation, rule: Finality) -> bool {
    let (study, round) = (accusation.study, accusation.round);
    let answered = service.ledger().is_answered(accusation, rule).await;
    answered
        .inspect_err(|error| tracing::debug!(study, round, %error, "whether a conviction is final cannot be told"))
        .unwrap_or(false)
}

async fn refused(service: &Service, accusation: &Accusation, error: Error) -> Option<Answer> {
    let (study, round) = (accusation.study, accusation.round);
    let waits = match &error {
        // The settlement may be in a block that is not there yet, or not any more.
        Error::Reverted(revert) if ["NotTheSettlement", "NotCertified", "WrongState"].iter().any(|name| revert.is(name)) => {
            may_come(service, accusation).await
        }
        Error::Reverted(_) => false,
        Error::Unknown(_) => may_come(service, accusation).await,
        _ => true,
    };
    if waits {
        tracing::debug!(study, round, %error, "the proof of an offence was not taken: trying again");
        return None;
    }
    if accusation.charge.undoes_round() {
        tracing::info!(study, round, %error, "the round is proved wrong, or is off the record");
    } else {
        tracing::error!(study, round, %error, "the proof of an offence was refused; it stays among the round's evidence");
    }
    Some(Answer(error.to_string()))
}

/// Whether the round may still get the state that a proof needs. One that was proved wrong may lose that state again until
/// it is final.
async fn may_come(service: &Service, accusation: &Accusation) -> bool {
    let (study, round) = (accusation.study, accusation.round);
    let Ok(history) = service.ledger().history(study).await else { return true };
    // A round beyond those that the endpoint shows may be shown later.
    if round > history.rounds() {
        return true;
    }
    if !history.is_on_record(round) {
        return false;
    }
    let Ok(found) = history.round(round).await else { return true };
    match found.state {
        State::None | State::Open | State::Certified | State::Settled => true,
        State::Void => false,
        State::Abandoned => matches!(accusation.charge, Charge::ForeignSite(_)) && !is_answered(service, accusation).await,
        State::Fraudulent | State::Refuted => accusation.charge.undoes_round() && !is_answered(service, accusation).await,
    }
}
