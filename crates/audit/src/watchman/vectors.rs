//! The vectors behind a settlement against each other: one after another, t+1 of them kept.

use crate::client::{Client, Peer, Route};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::openings::{Comparison, Flaw, Served, longest, read};
use consilium_ledger::Round;
use std::collections::BTreeSet;

/// What is to be said of a settlement.
pub(super) enum Verdict {
    Sound {
        words: String,
        /// The nodes whose settled share is what all vectors together say.
        shares: BTreeSet<usize>,
    },
    Wrong(Accusation),
    Unknown(String),
}

/// Fetches what is served for the settled roots until the first flaw, or until all of it has been compared.
pub(super) async fn judge(client: &Client, peers: &[Peer], round: &Round) -> Verdict {
    let (study, number) = (round.terms.study, round.terms.round);
    let mut comparison = Comparison::new(round.terms.committee.sizes(), round.terms.program.output_len());
    let mut silent = Vec::new();
    for point in 0..=peers.len() {
        match flaw_at(client, peers, round, point, &mut comparison).await {
            Ok(Some(flaw)) => {
                return Verdict::Wrong(Accusation { study, round: number, charge: Charge::WrongSettlement(flaw) });
            }
            Ok(None) => {}
            Err(reason) => silent.push(reason),
        }
    }
    if comparison.is_sound() {
        return sound(round, peers.len(), &comparison);
    }
    let first = silent.into_iter().next().unwrap_or_else(|| "what is served is not what is settled".to_owned());
    Verdict::Unknown(format!(
        "too few of the settled vectors are served to this key to check the settlement (the first: {first}); \
         output shares need the key of the sponsor, or of an auditor whom it has named"
    ))
}

/// A node that does not serve its settled share may be right or wrong: the vectors of the others say what it has to be.
fn sound(round: &Round, n: usize, comparison: &Comparison) -> Verdict {
    let settled = |node| round.settlement.as_ref().and_then(|settled| settled.roots().at(node));
    let is_right = |node: &usize| comparison.fitting().contains(node) || comparison.root_at(*node) == settled(*node);
    let (shares, off): (BTreeSet<usize>, BTreeSet<usize>) = (1..=n).partition(is_right);
    let fitting = comparison.fitting().len() - 1;
    let mut words = format!("the settled aggregate lies on one polynomial with {fitting} settled output shares");
    if !off.is_empty() {
        words += &format!(
            "; what is settled as the shares of nodes {off:?} is not what the others' shares say, which only whoever has these \
             vectors can prove: those nodes are not accused"
        );
    }
    Verdict::Sound { words, shares }
}

async fn flaw_at(
    client: &Client,
    peers: &[Peer],
    round: &Round,
    point: usize,
    comparison: &mut Comparison,
) -> Result<Option<Flaw>, String> {
    let Some(root) = round.settlement.as_ref().and_then(|settled| settled.roots().at(point)) else { return Ok(None) };
    let length = round.terms.program.output_len();
    let rest = if point == 0 { "aggregate" } else { "share" };
    let route = Route { study: round.terms.study, round: round.terms.round, rest, limit: longest(length) };
    // The aggregate is whoever's has it; a share is its node's.
    let from = if point == 0 { peers } else { &peers[point - 1..point] };
    let mut reason = String::from("no node is asked");
    for peer in from {
        match client.bytes(peer, route).await {
            Err(error) => reason = error.to_string(),
            Ok(bytes) => match read(point as u8, length, &root, &bytes) {
                Served::Vector(values) => return Ok(comparison.add(point, values)),
                Served::Flaw(flaw) => return Ok(Some(flaw)),
                Served::Other => reason = format!("node {} serves another vector than the settled one", peer.number),
            },
        }
    }
    Err(reason)
}
