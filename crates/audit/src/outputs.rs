//! Full audit, outputs: shares against the settled roots, the aggregate interpolated anew, and as the nodes serve it.

use crate::blame::Blames;
use crate::chain::View;
use crate::client::{FetchError, Peer};
use crate::listed;
use crate::report::{Book, Check};
use crate::round::Case;
use alloy_primitives::B256;
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::field::{self, Fp};
use consilium_core::merkle::vector_root;
use consilium_core::openings::{Comparison, Flaw};
use consilium_core::unmask::{Aggregate, unmask};
use consilium_ledger::Settled;
use futures::future::join_all;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use std::collections::BTreeMap;

/// Checks the outputs of a settled round.
pub(crate) async fn check(view: &View, case: &Case<'_>, book: &mut Book) {
    let Some(settled) = &case.round.settlement else { return };
    let shares = fetch(case, "share").await;
    let sorted = sort(case, settled, shares, book);
    recompute(case, settled, &sorted, book);
    let aggregate = published(case, settled, book).await;
    if let Some(flaw) = flaw(case, sorted.right, aggregate) {
        let (study, round) = (case.round.terms.study, case.number());
        listed::tell_one(view, case, &Accusation { study, round, charge: Charge::WrongSettlement(flaw) }, book);
    }
}

/// The first settled vector that does not fit the others: proof against everyone who signed the settlement.
fn flaw(case: &Case<'_>, shares: Shares, aggregate: Option<Vec<Fp>>) -> Option<Flaw> {
    let mut comparison = Comparison::new(case.round.terms.committee.sizes(), case.round.terms.program.output_len());
    let all = aggregate.map(|values| (0, values)).into_iter().chain(shares);
    all.into_iter().find_map(|(point, values)| comparison.add(point, values))
}

type Fetched = Vec<(Peer, Result<Vec<Fp>, FetchError>)>;
type Shares = BTreeMap<usize, Vec<Fp>>;

/// One vector of the program's output length from every node. A wrong length or value is an error of its own kind.
async fn fetch(case: &Case<'_>, rest: &'static str) -> Fetched {
    let length = case.round.terms.program.output_len();
    let one = |peer: &Peer| {
        let (peer, route) = (peer.clone(), case.route(rest, 8 * length));
        async move {
            let bytes = case.client.bytes(&peer, route).await;
            let decode = |bytes: Vec<u8>| {
                let decoded = field::from_bytes(&bytes, length, "the vector");
                decoded.map_err(|error| FetchError::Malformed { url: format!("/{rest}"), reason: error.to_string() })
            };
            let values = bytes.and_then(decode);
            (peer, values)
        }
    };
    join_all(case.peers.iter().map(one)).await
}

/// The shares that came.
#[derive(Default)]
struct Sorted {
    /// Under the settled roots.
    right: Shares,
    /// Of the right form.
    served: Shares,
    /// Nodes that served nothing.
    silent: usize,
}

fn sort(case: &Case<'_>, settled: &Settled, fetched: Fetched, book: &mut Book) -> Sorted {
    let (mut sorted, mut blames) = (Sorted::default(), Blames::default());
    for (peer, answer) in fetched {
        match answer {
            Err(error) => {
                sorted.silent += usize::from(!error.is_wrong());
                blames.fetch(Check::OutputShares, &peer, &error);
            }
            Ok(values) => {
                let root = vector_root(&values);
                if settled.share_roots.get(peer.number - 1) == Some(&root) {
                    sorted.right.insert(peer.number, values.clone());
                } else {
                    let evidence = json!({ "served_root": root, "settled_root": settled.share_roots.get(peer.number - 1) });
                    blames.wrong(Check::OutputShares, &peer, wrong_share(settled, &root), evidence);
                }
                sorted.served.insert(peer.number, values);
            }
        }
    }
    blames.write(case.number(), book);
    judge(case, &sorted, book);
    sorted
}

fn judge(case: &Case<'_>, sorted: &Sorted, book: &mut Book) {
    let (scope, needed) = (case.scope(), case.round.terms.committee.sizes().agreement());
    let nodes: Vec<usize> = sorted.right.keys().copied().collect();
    if nodes.len() >= needed {
        let reason = format!("nodes {nodes:?} serve the shares that are settled ({needed} needed)");
        return book.pass(Check::OutputShares, scope, reason);
    }
    let reason = format!("only {} of the settled shares are served, {needed} are needed", nodes.len());
    if sorted.silent == 0 {
        book.fail(Check::OutputShares, scope, format!("{reason}, and every node serves something"));
    } else {
        book.unavailable(Check::OutputShares, scope, format!("{reason}: bring the silent nodes back, then audit again"));
    }
}

fn wrong_share(settled: &Settled, root: &B256) -> String {
    match settled.share_roots.iter().position(|other| other == root) {
        Some(i) => format!("serves the output share of node {}, not its own", i + 1),
        None => format!("serves an output share that is not the settled one: its root is {root}"),
    }
}

/// The aggregate from 2t+1 settled shares. Without these, from whatever agrees, which then cannot be the settled one.
fn recompute(case: &Case<'_>, settled: &Settled, sorted: &Sorted, book: &mut Book) {
    let (scope, committee) = (case.scope(), case.round.terms.committee.sizes());
    let enough = sorted.right.len() >= committee.agreement();
    let chosen = if enough { &sorted.right } else { &sorted.served };
    let points: BTreeMap<usize, &[Fp]> = chosen.iter().map(|(&node, values)| (node, &values[..])).collect();
    match unmask(committee, &points, &mut UnwrapErr(SysRng)) {
        Ok(aggregate) => compare(case, settled, &aggregate, book),
        Err(reason) if enough => {
            let reason = format!("the settled shares lie on no polynomial of degree t ({reason}): the settlement is wrong");
            book.fail(Check::Aggregate, scope, reason);
        }
        Err(reason) => {
            let reason = format!("too few of the settled shares are served to recompute it ({reason})");
            book.unavailable(Check::Aggregate, scope, reason);
        }
    }
}

fn compare(case: &Case<'_>, settled: &Settled, aggregate: &Aggregate, book: &mut Book) {
    let scope = case.scope();
    let (computed, recorded) = (aggregate.root(), settled.settlement.aggregateRoot);
    if computed != recorded {
        let reason = format!(
            "the output shares give an aggregate with root {computed}, {recorded} is settled: the result does not follow"
        );
        return book.fail(Check::Aggregate, scope, reason);
    }
    let off = aggregate.share_roots().iter().zip(&settled.share_roots).position(|(a, b)| a != b);
    if let Some(i) = off {
        let reason = format!("the settled root of node {}'s share does not lie on the polynomial of the others", i + 1);
        return book.fail(Check::Aggregate, scope, reason);
    }
    let reason =
        format!("interpolated from the shares: {} values, root {computed}, and all share roots follow", aggregate.values().len());
    book.pass(Check::Aggregate, scope, reason);
}

/// The aggregate as the nodes serve it; yields the settled one.
async fn published(case: &Case<'_>, settled: &Settled, book: &mut Book) -> Option<Vec<Fp>> {
    let (mut right, mut found, mut silent, mut blames) = (Vec::new(), None, 0, Blames::default());
    for (peer, answer) in fetch(case, "aggregate").await {
        match answer.map(|values| (vector_root(&values), values)) {
            Ok((root, values)) if root == settled.settlement.aggregateRoot => {
                right.push(peer.number);
                found.get_or_insert(values);
            }
            Ok((root, _)) => {
                let reason = format!("serves an aggregate that is not the settled one: its root is {root}");
                let evidence = json!({ "served_root": root, "settled_root": settled.settlement.aggregateRoot });
                blames.wrong(Check::PublishedAggregate, &peer, reason, evidence);
            }
            Err(error) => {
                silent += usize::from(!error.is_wrong());
                blames.fetch(Check::PublishedAggregate, &peer, &error);
            }
        }
    }
    blames.write(case.number(), book);
    let scope = case.scope();
    if !right.is_empty() {
        book.pass(Check::PublishedAggregate, scope, format!("nodes {right:?} serve the settled aggregate"));
    } else if silent == 0 {
        book.fail(Check::PublishedAggregate, scope, "every node serves something, and none the settled aggregate");
    } else {
        book.unavailable(
            Check::PublishedAggregate,
            scope,
            "no node serves the settled aggregate: bring one back, then audit again",
        );
    }
    found
}
