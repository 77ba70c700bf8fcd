//! Certified sets as nodes serve them, and the offences that they show: a site that was not admitted, and settled rewards
//! that are not those of the set.

use crate::client::{Client, Peer, Route};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::certify::{Cohort, SetLeaves, SetMember};
use consilium_core::eip712::Vote;
use consilium_core::foreign::ForeignSite;
use consilium_core::rewards::{RewardFlaw, Rewards};
use consilium_ledger::{Error, Ledger, Round};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Deserialize;

/// JSON bytes of one member of a set, generously.
const MEMBER_BYTES: usize = 512;
/// Sites beyond those of the list that are read of a set: liars may certify more than were admitted.
const SURPLUS: usize = 1 << 14;

/// What a node shows as a round's set.
#[derive(Deserialize)]
pub(crate) struct ServedSet {
    members: Vec<SetMember>,
}

/// Where nodes serve a round's set, and how much of it is read.
pub(crate) fn route(round: &Round) -> Route<'static> {
    let terms = &round.terms;
    let certified = round.certificate.as_ref().map_or(0, |certificate| certificate.vote.size as usize);
    let sites = certified.clamp(terms.sites.len(), terms.sites.len() + SURPLUS);
    let limit = MEMBER_BYTES * (sites + terms.committee.members().len() + 1);
    Route { study: terms.study, round: terms.round, rest: "set", limit }
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
    let (set, list) = (round.certificate.as_ref()?.set(), round.site_list().ok()?);
    let proof = ForeignSite::find(&set, leaves, &list)?;
    Some(accuse(round, Charge::ForeignSite(Box::new(proof))))
}

/// What can be said of a round's settled rewards.
pub(crate) enum Credits {
    /// They are those of the set.
    Right,
    /// They are not, and this proves it to the contract.
    Proved(Accusation),
    /// They are not, and nobody has shown anything of their tree.
    Wrong,
    /// Nobody shows the set.
    Unknown,
}

/// Holds the settled rewards against the set. A wrong root is proved by what the claims of its credits show, or by a guess.
pub(crate) async fn credits(ledger: &Ledger, round: &Round, leaves: Option<&SetLeaves>) -> Result<Credits, Error> {
    let (Some(certified), Some(settled)) = (&round.certificate, &round.settlement) else { return Ok(Credits::Unknown) };
    let root = settled.settlement.rewardRoot;
    let rewards = Rewards { committee: &round.terms.committee, set: certified.set(), leaves, root };
    let is_right = rewards.are_right();
    if is_right == Some(true) {
        return Ok(Credits::Right);
    }
    let flaw: Option<RewardFlaw> = match rewards.guess(settled.signers) {
        Some(flaw) => Some(flaw),
        None => ledger.flaw_in_claims(round, &rewards).await?,
    };
    Ok(match (flaw, is_right) {
        (Some(flaw), _) => Credits::Proved(accuse(round, Charge::WrongReward(flaw))),
        (None, Some(_)) => Credits::Wrong,
        (None, None) => Credits::Unknown,
    })
}

fn accuse(round: &Round, charge: Charge) -> Accusation {
    Accusation { study: round.terms.study, round: round.terms.round, charge }
}
