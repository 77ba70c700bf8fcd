//! What becomes of the bonds of convicted nodes: assigned to the harmed sites, and paid out once that is due.

use super::{Outcome, Sighting, Watchman, sighting};
use crate::client::{Route, peers};
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_ledger::{Error, Event, History, Pot};
use serde::Deserialize;
use std::collections::BTreeSet;

/// JSON bytes of one member of a set, generously.
const MEMBER_BYTES: usize = 512;

#[derive(Deserialize)]
struct ServedSet {
    members: Vec<SetMember>,
}

pub(super) async fn look(watchman: &mut Watchman, history: &History, seen: &mut Vec<Sighting>) -> Result<(), Error> {
    let study = history.study_number();
    let mut nodes: BTreeSet<Address> = BTreeSet::new();
    for event in history.events() {
        if let Event::CommitteeFormed { nodes: members, .. } = &event.event {
            nodes.extend(members);
        }
    }
    for node in nodes {
        let Some(pot) = watchman.ledger().pot_of(study, node).await? else { continue };
        if !pot.is_assigned() {
            assign(watchman, study, node, &pot, seen).await?;
        } else if !pot.frozen && history.head().timestamp >= pot.due {
            pay(watchman, history, node, &pot, seen).await?;
        }
    }
    Ok(())
}

async fn assign(watchman: &Watchman, study: u64, node: Address, pot: &Pot, seen: &mut Vec<Sighting>) -> Result<(), Error> {
    match watchman.ledger().assign_compensation(&watchman.wallet, study, node).await {
        Ok(receipt) => {
            let words = format!("the bond of node {node} is assigned to the harmed sites");
            let transaction = Some(receipt.transaction);
            seen.push(Sighting { study, round: pot.round, outcome: Outcome::Paid, words, transaction });
            Ok(())
        }
        // Somebody was faster, or there is no certified round in the study.
        Err(Error::Reverted(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn pay(
    watchman: &mut Watchman,
    history: &History,
    node: Address,
    pot: &Pot,
    seen: &mut Vec<Sighting>,
) -> Result<(), Error> {
    let study = history.study_number();
    let open: Vec<usize> = (0..pot.size as usize).filter(|i| !watchman.paid.contains(&(study, node, *i))).collect();
    if open.is_empty() {
        return Ok(());
    }
    let Some(cohort) = harmed(watchman, history, &pot.set_root).await else {
        let words = format!("no node shows the set whose sites are owed the bond of node {node}");
        seen.push(sighting(study, pot.round, Outcome::Unavailable, words));
        return Ok(());
    };
    for index in open {
        match watchman.ledger().compensate(&watchman.wallet, study, node, &cohort, index).await {
            Ok(receipt) => {
                let site = cohort.members().get(index).map_or(Address::ZERO, |member| member.site);
                let words = format!("site {site} is paid {} wei of the bond of node {node}", pot.each);
                let transaction = Some(receipt.transaction);
                seen.push(Sighting { study, round: pot.round, outcome: Outcome::Paid, words, transaction });
            }
            Err(Error::Reverted(revert)) if revert.is("AlreadyCompensated") => {}
            Err(Error::Reverted(revert)) => {
                let words = format!("site {index} of the set could not be paid of the bond of node {node}: {revert}");
                seen.push(sighting(study, pot.round, Outcome::Settled, words));
            }
            Err(error) => return Err(error),
        }
        watchman.paid.insert((study, node, index));
    }
    Ok(())
}

/// The set under this root, from whichever node shows it.
async fn harmed(watchman: &Watchman, history: &History, set_root: &B256) -> Option<Cohort> {
    let study = history.study_number();
    let certified = history.certified_subjects().into_iter().rfind(|certified| certified.set_root == *set_root)?;
    let round = history.round(certified.round).await.ok()?;
    let limit = MEMBER_BYTES * (round.terms.sites.len() + 1);
    let route = Route { study, round: certified.round, rest: "set", limit };
    for peer in peers(&round.terms.committee, &watchman.nodes) {
        let Ok(served) = watchman.client.json::<ServedSet>(&peer, route).await else { continue };
        if let Ok(cohort) = Cohort::new(served.members)
            && cohort.root() == *set_root
        {
            return Some(cohort);
        }
    }
    None
}
