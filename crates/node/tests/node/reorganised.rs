//! A reorganisation deeper than the rule that a study chose, and bonds long after their proofs.

use crate::harness::World;
use crate::offences::convictions;
use alloy_primitives::B256;
use consilium_chain::{Sequencer, system_clock};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::eip712::{SignerSet, Vote};
use consilium_core::round::SignedShareRoot;
use consilium_ledger::{Ledger, Offence, Round, client_provider};

/// A settled round of sites 0 and 1.
async fn settled(world: &World) -> Round {
    let round = world.open_round(1, 600).await;
    for site in 0..2 {
        assert_eq!(world.upload(0, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    world.settled(1).await
}

/// The round's share roots, as node 0 tells them.
async fn share_roots(world: &World) -> Vec<SignedShareRoot> {
    serde_json::from_value(world.get_json(0, 1, "/statements").await["share_roots"].take()).unwrap()
}

/// Rewrites the chain from before a round's certificate on: there, Q nodes voted for another set.
async fn certify_another_set(world: &World, round: &Round) {
    let before = round.certificate.as_ref().unwrap().at.block.number - 1;
    let other = Sequencer::new(world.sequencer.chain().fork_at(before).unwrap(), system_clock);
    let ledger = Ledger::new(client_provider(other.client()), world.addresses).await.unwrap();
    let vote = Vote { study: 1, round: 1, setRoot: B256::repeat_byte(0x77), size: 2 };
    let domain = world.addresses.domain();
    let votes = (1..=4).map(|node| (node, domain.sign(world.member_key(node - 1), &vote))).collect();
    ledger.certify(&world.sponsor, &vote, &SignerSet::collect(&votes)).await.unwrap();
    let rewritten = other.chain().fork();
    world.sequencer.replace(rewritten);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_released_for_a_set_that_vanished_clears_itself_with_the_votes_for_it() {
    let world = World::start(4, 2).await;
    let round = settled(&world).await;
    let said = share_roots(&world).await.into_iter().find(|said| said.node == 2).unwrap();
    let node = world.keys[1].address();
    certify_another_set(&world, &round).await;

    let charge = Charge::WrongShareRoot { address: node, statements: Box::new([said]) };
    // One of the nodes may have been faster.
    let _ = world.ledger.accuse(&world.sponsor, &Accusation { study: 1, round: 1, charge }).await;
    let convicted = async || {
        let convictions = convictions(&world).await;
        convictions.iter().any(|found| found.node == node && found.offence == Offence::ForeignShare)
    };
    world.eventually("the conviction", convicted).await;
    world.eventually("the answer", async || world.ledger.pot_of(1, node).await.unwrap().is_none()).await;
    let bond = world.ledger.bond(1, node).await.unwrap();
    assert!(!bond.amount.is_zero() && bond.liable, "{bond:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_bond_is_assigned_to_the_harmed_sites_once_it_is_due() {
    let world = World::start(4, 2).await;
    let round = settled(&world).await;
    let said = share_roots(&world).await.into_iter().find(|said| said.node == 3).unwrap();
    let other = SignedShareRoot { root: B256::repeat_byte(7), ..said };
    let domain = world.addresses.domain();
    let signature = domain.sign(world.member_key(2), &other.statement(&round.terms));
    let (node, statements) = (world.keys[2].address(), Box::new([said, SignedShareRoot { signature, ..other }]));
    let charge = Charge::TwoShareRoots { address: node, statements };
    world.ledger.accuse(&world.sponsor, &Accusation { study: 1, round: 1, charge }).await.unwrap();
    let pot = world.ledger.pot_of(1, node).await.unwrap().unwrap();
    assert!(pot.round == 1 && !pot.is_assigned());

    let mut later = world.sequencer.chain().fork();
    later.mine_empty(pot.due - 1).unwrap();
    world.sequencer.replace(later);
    // A node that assigned too early would be refused, and have put the bond aside.
    tokio::time::sleep(world.configs[0].poll_interval * 10).await;
    assert!(!world.ledger.pot_of(1, node).await.unwrap().unwrap().is_assigned());
    let mut due = world.sequencer.chain().fork();
    due.mine_empty(pot.due).unwrap();
    world.sequencer.replace(due);
    let assigned = async || world.ledger.pot_of(1, node).await.unwrap().is_some_and(|pot| pot.is_assigned());
    world.eventually("the assignment", assigned).await;
    let pot = world.ledger.pot_of(1, node).await.unwrap().unwrap();
    assert_eq!(pot.size, 2);
}
