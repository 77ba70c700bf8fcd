//! Rust against Solidity: random rounds with random liars, and both blame the same nodes, or nobody.

use crate::court::{Bench, Settled, convictions, find, honest};
use crate::scenario::root;
use crate::worlds::World;
use alloy_primitives::Address;
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::field::Fp;
use consilium_core::merkle::vector_root;
use consilium_core::openings::{Flaw, open};
use consilium_core::params::Committee;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

const CASES: usize = 60;

fn below(rng: &mut TestRng, bound: usize) -> usize {
    rng.next_u32() as usize % bound
}

/// Whom Rust blames: nobody if the evidence does not hold.
async fn blamed(bench: &Bench, settled: &Settled, accusation: &Accusation) -> Vec<Address> {
    let round = bench.round(settled).await;
    if !accusation.holds(&bench.ledger.domain(), &round.record()) {
        return Vec::new();
    }
    let signers = round.settlement.as_ref().unwrap().signers();
    let all = || signers.into_iter().map(|node| round.terms.committee.member(node).unwrap().address).collect();
    accusation.node().map_or_else(all, |node| vec![node])
}

/// A charge that may hold or not, as the dice fall.
fn statement(rng: &mut TestRng, bench: &Bench, settled: &Settled, n: usize) -> Charge {
    let (node, other) = (1 + below(rng, n), 1 + below(rng, n));
    let honest = |rng: &mut TestRng| below(rng, 2) == 0;
    let set = settled.settlement.setRoot;
    let (accused, lied) = (bench.address(if below(rng, 4) == 0 { other } else { node }), root("a lie"));
    let share = |rng: &mut TestRng, node: usize| {
        let set_root = if below(rng, 3) == 0 { root("another set") } else { set };
        bench.share(settled, node, set_root, if honest(rng) { settled.roots[node] } else { lied })
    };
    match below(rng, 4) {
        0 => Charge::WrongShareRoot { address: accused, statements: Box::new([share(rng, node)]) },
        1 => Charge::TwoShareRoots { address: accused, statements: Box::new([share(rng, node), share(rng, node)]) },
        2 => {
            let second = if honest(rng) { settled.roots[0] } else { lied };
            let pair = [bench.settlement(settled, node, settled.roots[0]), bench.settlement(settled, node, second)];
            Charge::TwoSettlements { address: accused, statements: Box::new(pair) }
        }
        _ => {
            let (round, set_root) = (1 + below(rng, 2) as u64, if honest(rng) { set } else { lied });
            let pair = [bench.final_of(settled, node, 1, set), bench.final_of(settled, node, round, set_root)];
            Charge::TwoFinals { address: accused, statements: Box::new(pair) }
        }
    }
}

/// What a search over all settled vectors shows; without a flaw, openings at random, which must prove nothing.
fn openings(rng: &mut TestRng, committee: &Committee, settled: &Settled, vectors: &[Vec<Fp>]) -> Charge {
    let found = find(committee, &settled.roots, vectors);
    let at_random = |rng: &mut TestRng| {
        let element = below(rng, vectors[0].len());
        let mut points: Vec<usize> = (0..vectors.len()).collect();
        while points.len() > committee.t() + 2 {
            points.remove(below(rng, points.len()));
        }
        let openings = points.into_iter().map(|point| open(point as u8, &vectors[point], element / 32)).collect();
        Flaw::Misfit { element: element as u64, openings }
    };
    let flaw = match found {
        Some(flaw) if below(rng, 4) > 0 => flaw,
        _ => at_random(rng),
    };
    Charge::WrongSettlement(flaw)
}

#[tokio::test]
async fn rust_and_the_contract_blame_the_same_nodes() {
    let world = World::embedded();
    let bench = Bench::set(&world, 9).await;
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[23; 32]);
    let (mut guilty, mut innocent) = (0, 0);
    for case in 0..CASES {
        let (n, t) = [(4, 1), (5, 1), (6, 1), (9, 2)][below(&mut rng, 4)];
        let length = 2 + below(&mut rng, 90);
        let mut vectors = honest(n, t, length, case as u64);
        // Liars among the settled vectors, the aggregate included: none in a third of the cases.
        for _ in 0..below(&mut rng, 3) {
            let (point, element) = (below(&mut rng, n + 1), below(&mut rng, length));
            vectors[point][element] += Fp::reduce(u64::from(rng.next_u32()));
        }
        let roots: Vec<_> = vectors.iter().map(|values| vector_root(values)).collect();
        let signers: Vec<usize> = (1..=3 * t + 1).collect();
        let settled = bench.settle(t as u8, length, &roots, &signers).await;
        let charge = if below(&mut rng, 2) == 0 {
            statement(&mut rng, &bench, &settled, n)
        } else {
            openings(&mut rng, &Committee::new(n, t).unwrap(), &settled, &vectors)
        };
        let accusation = Accusation { study: settled.study, round: 1, charge };
        let expected = blamed(&bench, &settled, &accusation).await;
        let answer = bench.ledger.accuse(&bench.reporter, &accusation).await;
        // Two Finals and two settlements name their signer by the signature alone: the contract does not hear whom Rust
        // is told to blame.
        let misnamed = expected.is_empty() && answer.is_ok() && accusation.node().is_some();
        if misnamed {
            let found: Vec<_> = answer.iter().flat_map(convictions).map(|conviction| conviction.node).collect();
            assert!(!found.contains(&accusation.node().unwrap()), "case {case}: {accusation:?}");
            continue;
        }
        let found: Vec<_> = answer.iter().flat_map(convictions).map(|conviction| conviction.node).collect();
        assert_eq!(found, expected, "case {case}: {accusation:?}: {answer:?}");
        if expected.is_empty() { innocent += 1 } else { guilty += 1 }
    }
    println!("{guilty} cases with a culprit, {innocent} without");
    assert!(guilty > CASES / 5 && innocent > CASES / 5, "{guilty} and {innocent}");
}
