//! Full audit, outputs: shares against the settled roots, the aggregate interpolated anew, and as the nodes serve it.

use crate::blame::Blames;
use crate::client::{FetchError, Peer};
use crate::report::{Book, Check};
use crate::round::Case;
use alloy_primitives::B256;
use consilium_core::field::{self, Fp};
use consilium_core::merkle::vector_root;
use consilium_core::unmask::{Aggregate, unmask};
use consilium_ledger::Settled;
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeMap;

/// Checks the outputs of a settled round.
pub(crate) async fn check(case: &Case<'_>, book: &mut Book) {
    let Some(settled) = &case.round.settlement else { return };
    let shares = fetch(case, "share").await;
    let (settled_shares, served) = sort(case, settled, shares, book);
    recompute(case, settled, &settled_shares, &served, book);
    published(case, settled, book).await;
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

/// Shares that are the settled ones, and all that were served.
fn sort(case: &Case<'_>, settled: &Settled, fetched: Fetched, book: &mut Book) -> (Shares, Shares) {
    let (mut right, mut served, mut blames) = (Shares::new(), Shares::new(), Blames::default());
    for (peer, answer) in fetched {
        match answer {
            Err(error) => blames.fetch(Check::OutputShares, &peer, &error),
            Ok(values) => {
                let root = vector_root(&values);
                if settled.share_roots.get(peer.number - 1) == Some(&root) {
                    right.insert(peer.number, values.clone());
                } else {
                    let evidence = json!({ "served_root": root, "settled_root": settled.share_roots.get(peer.number - 1) });
                    blames.wrong(Check::OutputShares, &peer, wrong_share(settled, &root), evidence);
                }
                served.insert(peer.number, values);
            }
        }
    }
    blames.write(case.number(), book);
    let sizes = case.round.terms.committee.sizes();
    let nodes: Vec<usize> = right.keys().copied().collect();
    if right.len() >= sizes.agreement() {
        let reason = format!("nodes {nodes:?} serve the shares that are settled ({} needed)", sizes.agreement());
        book.pass(Check::OutputShares, case.scope(), reason);
    }
    (right, served)
}

fn wrong_share(settled: &Settled, root: &B256) -> String {
    match settled.share_roots.iter().position(|other| other == root) {
        Some(i) => format!("serves the output share of node {}, not its own", i + 1),
        None => format!("serves an output share that is not the settled one: its root is {root}"),
    }
}

/// The aggregate from 2t+1 settled shares. Without these, from whatever agrees, which then cannot be the settled one.
fn recompute(case: &Case<'_>, settled: &Settled, right: &Shares, served: &Shares, book: &mut Book) {
    let (scope, committee) = (case.scope(), case.round.terms.committee.sizes());
    let enough = right.len() >= committee.agreement();
    let chosen = if enough { right } else { served };
    let points: BTreeMap<usize, &[Fp]> = chosen.iter().map(|(&node, values)| (node, &values[..])).collect();
    match unmask(committee, &points) {
        Ok(aggregate) => compare(case, settled, &aggregate, book),
        Err(reason) if enough => {
            let reason = format!("the settled shares lie on no polynomial of degree t ({reason}): the settlement is wrong");
            book.fail(Check::Aggregate, scope, reason);
        }
        Err(_) => {
            let reason = format!(
                "{} of the settled shares are served, {} are needed: bring nodes back, then audit again",
                right.len(),
                committee.agreement()
            );
            if served.len() == committee.n() {
                book.fail(Check::OutputShares, scope, format!("{reason}; and every node serves some share"));
            } else {
                book.unavailable(Check::OutputShares, scope, reason);
            }
            book.unavailable(Check::Aggregate, scope, "too few of the settled shares are served to recompute it");
        }
    }
}

fn compare(case: &Case<'_>, settled: &Settled, aggregate: &Aggregate, book: &mut Book) {
    let scope = case.scope();
    let (computed, recorded) = (aggregate.root(), settled.settlement.aggregateRoot);
    if computed != recorded {
        let reason = format!("the output shares give an aggregate with root {computed}, {recorded} is settled: the result does not follow");
        return book.fail(Check::Aggregate, scope, reason);
    }
    let off = aggregate.share_roots().iter().zip(&settled.share_roots).position(|(a, b)| a != b);
    if let Some(i) = off {
        let reason = format!("the settled root of node {}'s share does not lie on the polynomial of the others", i + 1);
        return book.fail(Check::Aggregate, scope, reason);
    }
    let reason = format!("interpolated from the shares: {} values, root {computed}, and all share roots follow", aggregate.values().len());
    book.pass(Check::Aggregate, scope, reason);
}

async fn published(case: &Case<'_>, settled: &Settled, book: &mut Book) {
    let (mut right, mut blames) = (Vec::new(), Blames::default());
    for (peer, answer) in fetch(case, "aggregate").await {
        match answer.map(|values| vector_root(&values)) {
            Ok(root) if root == settled.settlement.aggregateRoot => right.push(peer.number),
            Ok(root) => {
                let reason = format!("serves an aggregate that is not the settled one: its root is {root}");
                let evidence = json!({ "served_root": root, "settled_root": settled.settlement.aggregateRoot });
                blames.wrong(Check::PublishedAggregate, &peer, reason, evidence);
            }
            Err(error) => blames.fetch(Check::PublishedAggregate, &peer, &error),
        }
    }
    blames.write(case.number(), book);
    if right.is_empty() {
        book.unavailable(Check::PublishedAggregate, case.scope(), "no node serves the settled aggregate");
    } else {
        book.pass(Check::PublishedAggregate, case.scope(), format!("nodes {right:?} serve the settled aggregate"));
    }
}
