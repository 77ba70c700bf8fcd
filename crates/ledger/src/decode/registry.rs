//! Events of the registry: nodes and their stake, and the convictions of its court.

use super::{KEM_KEY_BYTES, strictly, within};
use crate::contracts::{INodeRegistry, NodeRegistry as R};
use crate::event::{Consent, Conviction, Defect, Event, MAX_IDENTITY, Offence};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;
use alloy_primitives::{U256, keccak256};

pub(super) fn event(log: &Log) -> Result<Event, Defect> {
    match *log.topic0().ok_or(Defect::UnknownEvent)? {
        R::NodeRegistered::SIGNATURE_HASH => node_registered(log),
        R::KemKeySet::SIGNATURE_HASH => kem_key_set(log),
        R::UnbondingBegun::SIGNATURE_HASH => {
            strictly::<R::UnbondingBegun>(log).map(|e| Event::UnbondingBegun { node: e.node, withdrawable_at: e.withdrawableAt })
        }
        R::Withdrawn::SIGNATURE_HASH => {
            strictly::<R::Withdrawn>(log).map(|e| Event::StakeWithdrawn { node: e.node, stake: e.stake })
        }
        R::ConsentSet::SIGNATURE_HASH => strictly::<R::ConsentSet>(log).map(|e| Event::ConsentSet {
            node: e.node,
            party: e.party,
            consent: consent(&e.consent),
        }),
        R::Deposited::SIGNATURE_HASH => {
            strictly::<R::Deposited>(log).map(|e| Event::Deposited { node: e.node, amount: e.amount })
        }
        R::Bonded::SIGNATURE_HASH => {
            strictly::<R::Bonded>(log).map(|e| Event::Bonded { study: e.study, node: e.node, amount: e.amount })
        }
        R::Discharged::SIGNATURE_HASH => {
            strictly::<R::Discharged>(log).map(|e| Event::Discharged { study: e.study, node: e.node, until: e.until })
        }
        R::Reclaimed::SIGNATURE_HASH => {
            strictly::<R::Reclaimed>(log).map(|e| Event::Reclaimed { study: e.study, node: e.node, amount: e.amount })
        }
        _ => court(log),
    }
}

fn court(log: &Log) -> Result<Event, Defect> {
    match *log.topic0().ok_or(Defect::UnknownEvent)? {
        R::Convicted::SIGNATURE_HASH => convicted(log),
        R::Acquitted::SIGNATURE_HASH => {
            strictly::<R::Acquitted>(log).map(|e| Event::Acquitted { study: e.study, node: e.node, amount: e.amount })
        }
        R::CompensationAssigned::SIGNATURE_HASH => strictly::<R::CompensationAssigned>(log).map(|e| {
            let R::CompensationAssigned { study, node, round, setRoot: set_root, size } = e;
            Event::CompensationAssigned { study, node, round, set_root, size }
        }),
        R::Compensated::SIGNATURE_HASH => strictly::<R::Compensated>(log).map(|e| Event::Compensated {
            study: e.study,
            node: e.node,
            site: e.site,
            amount: e.amount,
        }),
        _ => payouts(log),
    }
}

fn payouts(log: &Log) -> Result<Event, Defect> {
    match *log.topic0().ok_or(Defect::UnknownEvent)? {
        R::ReporterPaid::SIGNATURE_HASH => strictly::<R::ReporterPaid>(log).map(|e| Event::ReporterPaid {
            study: e.study,
            node: e.node,
            reporter: e.reporter,
            amount: e.amount,
        }),
        R::Forfeited::SIGNATURE_HASH => {
            strictly::<R::Forfeited>(log).map(|e| Event::Forfeited { study: e.study, node: e.node, amount: e.amount })
        }
        R::CompensationPostponed::SIGNATURE_HASH => {
            let e = strictly::<R::CompensationPostponed>(log)?;
            let until = e.until.try_into().map_err(|_| Defect::Length("the time of a payment"))?;
            Ok(Event::CompensationPostponed { study: e.study, node: e.node, until })
        }
        R::Held::SIGNATURE_HASH => strictly::<R::Held>(log).map(|e| Event::Held { study: e.study, node: e.node, until: e.until }),
        _ => Err(Defect::UnknownEvent),
    }
}

pub(crate) fn consent(stored: &INodeRegistry::Consent) -> Consent {
    Consent {
        max_bond: U256::from(stored.maxBond),
        max_total: U256::from(stored.maxTotal),
        minimum_window: stored.minimumWindow.to(),
        expires: stored.expires.to(),
    }
}

fn convicted(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<R::Convicted>(log)?;
    Ok(Event::Convicted(Conviction {
        study: e.study,
        node: e.node,
        round: e.round,
        offence: Offence::from_code(e.offence).ok_or(Defect::Offence)?,
        reporter: e.reporter,
        reward: e.reward,
        kept: e.kept,
    }))
}

fn node_registered(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<R::NodeRegistered>(log)?;
    within("the operator", e.operator.len(), 1, MAX_IDENTITY)?;
    within("the jurisdiction", e.jurisdiction.len(), 1, MAX_IDENTITY)?;
    Ok(Event::NodeRegistered { node: e.node, operator: e.operator, jurisdiction: e.jurisdiction, stake: e.stake })
}

fn kem_key_set(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<R::KemKeySet>(log)?;
    within("the KEM key", e.kemKey.len(), KEM_KEY_BYTES, KEM_KEY_BYTES)?;
    if keccak256(&e.kemKey) != e.keyHash {
        return Err(Defect::KeyHash);
    }
    Ok(Event::KemKeySet { node: e.node, key_hash: e.keyHash, kem_key: e.kemKey })
}
