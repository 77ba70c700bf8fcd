//! Certified sets as nodes serve them, and the offences that they show: a site that was not admitted, and settled rewards
//! that are not those of the set.

use crate::client::{Client, Peer, Route};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::certify::{Cohort, SetLeaves, SetMember};
use consilium_core::eip712::Vote;
use consilium_core::rewards::RewardFlaw;
use consilium_ledger::Round;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Deserialize;

/// What a node shows as a round's set.
#[derive(Deserialize)]
pub(crate) struct ServedSet {
    members: Vec<SetMember>,
}

/// Where nodes serve a round's set, and how much of it is read.
pub(crate) fn route(round: &Round) -> Route<'static> {
    let terms = &round.terms;
    Route { study: terms.study, round: terms.round, rest: "set", limit: round.longest_set() }
}

impl ServedSet {
    /// The set, if it is the one that was voted for; else why it is not.
    pub(crate) fn under(self, vote: &Vote) -> Result<Cohort, String> {
        let cohort = Cohort::new(self.members).map_err(|reason| reason.to_string())?;
        let (size, root) = (cohort.size(), cohort.root());
        if size != vote.size {
            return Err(format!("it has {size} members, {} are certified", vote.size));
        }
        if root != vote.setRoot {
            return Err(format!("its root is {root}, {} is certified", vote.setRoot));
        }
        Ok(cohort)
    }

    /// What it shows under the certified root, whether or not it is a set that honest nodes would certify.
    pub(crate) fn leaves(&self, vote: &Vote) -> Option<SetLeaves> {
        SetLeaves::under(&vote.setRoot, self.members.clone())
    }
}

/// What is under a round's certified root, from whichever node shows it first.
pub(crate) async fn leaves(client: &Client, peers: &[Peer], round: &Round) -> Option<SetLeaves> {
    let vote = &round.certificate.as_ref()?.vote;
    let asked = peers.iter().map(|peer| client.json::<ServedSet>(peer, route(round)));
    let mut answers: FuturesUnordered<_> = asked.collect();
    while let Some(answer) = answers.next().await {
        if let Some(leaves) = answer.ok().and_then(|served| served.leaves(vote)) {
            return Some(leaves);
        }
    }
    None
}

/// The first site of the certified set that was not admitted, as evidence against its voters.
pub(crate) fn foreign_site(round: &Round, leaves: &SetLeaves) -> Option<Accusation> {
    let proof = round.foreign_site(leaves).ok().flatten()?;
    Some(accuse(round, Charge::ForeignSite(Box::new(proof))))
}

/// A flaw of the settled rewards, as evidence against who signed them.
pub(crate) fn wrong_reward(round: &Round, flaw: RewardFlaw) -> Accusation {
    accuse(round, Charge::WrongReward(flaw))
}

fn accuse(round: &Round, charge: Charge) -> Accusation {
    Accusation { study: round.terms.study, round: round.terms.round, charge }
}
