//! What gathered statements may prove. Each is judged by core before anything is sent.

use crate::statements::Gathered;
use consilium_core::accusation::{Accusation, Charge, FinalOf};
use consilium_core::round::{SignedSettlement, SignedShareRoot};
use consilium_ledger::{Certified, Round, Settled};

/// Every charge that these statements could carry.
pub(crate) fn of(round: &Round, gathered: &Gathered) -> Vec<Accusation> {
    let terms = &round.terms;
    let accuse = |charge| Accusation { study: terms.study, round: terms.round, charge };
    let address = |node: usize| terms.committee.member(node).map(|member| member.address);
    let mut found = Vec::new();
    for said in &gathered.share_roots {
        if let Some(address) = address(said.node) {
            found.push(accuse(Charge::WrongShareRoot { address, statements: Box::new([said.clone()]) }));
        }
    }
    for pair in pairs(&gathered.share_roots, |said: &SignedShareRoot| said.node) {
        if let Some(address) = address(pair[0].node) {
            found.push(accuse(Charge::TwoShareRoots { address, statements: Box::new(pair) }));
        }
    }
    for pair in pairs(&gathered.settlements, |said: &SignedSettlement| said.node) {
        if let Some(address) = address(pair[0].node) {
            found.push(accuse(Charge::TwoSettlements { address, statements: Box::new(pair) }));
        }
    }
    let here = gathered.finals.iter().map(|signed| (terms.round, signed));
    let elsewhere = gathered.elsewhere.iter().map(|said| (said.round, &said.signed));
    let finals = here.chain(elsewhere);
    let finals: Vec<FinalOf> =
        finals.map(|(round, signed)| FinalOf { round, subject: terms.subject, signed: signed.clone() }).collect();
    for pair in pairs(&finals, |said: &FinalOf| said.signed.node) {
        if let Some(address) = address(pair[0].signed.node) {
            found.push(accuse(Charge::TwoFinals { address, statements: Box::new(pair) }));
        }
    }
    found
}

/// Whether the accused had a part in the round. Anybody can sign two statements with a key made up for it, and have the
/// watchman pay for the proof.
pub(crate) fn concerns(round: &Round, accusation: &Accusation) -> bool {
    match &accusation.charge {
        Charge::TwoContributions { site, .. } => round.terms.admits(site),
        Charge::TwoFinals { address, .. }
        | Charge::TwoShareRoots { address, .. }
        | Charge::TwoSettlements { address, .. }
        | Charge::WrongShareRoot { address, .. } => round.terms.committee.index_of(*address).is_some(),
        Charge::WrongSettlement(_) | Charge::ForeignSite(_) | Charge::WrongReward(_) => true,
    }
}

fn signers(round: &Round) -> Vec<usize> {
    round.settlement.as_ref().map(Settled::signers).unwrap_or_default()
}

/// The first two different statements of each node.
fn pairs<T: Clone + PartialEq>(said: &[T], node: fn(&T) -> usize) -> Vec<[T; 2]> {
    let first = |i: usize| said[..i].iter().position(|earlier| node(earlier) == node(&said[i]));
    let pair = |i: usize| Some([said[first(i)?].clone(), said[i].clone()]);
    let mut found: Vec<[T; 2]> = Vec::new();
    for i in 0..said.len() {
        if let Some(pair) = pair(i).filter(|pair| pair[0] != pair[1])
            && !found.iter().any(|known| node(&known[0]) == node(&pair[0]))
        {
            found.push(pair);
        }
    }
    found
}

/// The charge, for people.
pub(crate) fn in_words(round: &Round, accusation: &Accusation) -> String {
    let who = |address| match round.terms.committee.index_of(address) {
        Some(node) => format!("node {node} ({address})"),
        None => format!("{address}"),
    };
    match &accusation.charge {
        Charge::TwoFinals { address, .. } => format!("{} signed two Finals about one subject", who(*address)),
        Charge::TwoShareRoots { address, .. } => format!("{} signed two output shares", who(*address)),
        Charge::TwoSettlements { address, .. } => format!("{} signed two settlements", who(*address)),
        Charge::WrongShareRoot { address, .. } => {
            format!("{} signed an output share that is not the settled one, or of another set", who(*address))
        }
        Charge::WrongSettlement(_) => format!("the settlement is wrong, signed by nodes {:?}", signers(round)),
        Charge::ForeignSite(proof) => {
            let voters = round.certificate.as_ref().map(Certified::voters).unwrap_or_default();
            let site = proof.leaf.member.site;
            format!("the certified set holds site {site}, which was not admitted, voted for by nodes {voters:?}")
        }
        Charge::WrongReward(_) => {
            format!("the settled rewards are not those of the set and its voters, signed by nodes {:?}", signers(round))
        }
        Charge::TwoContributions { site, .. } => format!("site {site} signed two contributions"),
    }
}
