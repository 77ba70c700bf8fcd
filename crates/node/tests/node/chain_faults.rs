//! What the chain and its endpoints may do to a node.

use crate::harness::{Gate, World, now, reads_history};
use alloy_primitives::B256;
use consilium_core::params::Finality;
use consilium_ledger::Wallet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_the_endpoint_while_events_are_taken_in_loses_none_of_them() {
    let mut world = World::prepare(4, 2).await;
    assert_eq!(world.create_study().await, 2);
    for study in [1, 2] {
        let (subject, deadline) = (B256::repeat_byte(study), now() + 600);
        world.ledger.open_round(&world.sponsor, study.into(), subject, deadline, deadline + 600).await.unwrap();
    }
    // Both openings come in one batch; the first seat meets a fault.
    let gate = Gate::start(&world.sequencer).await;
    let mut faults = 1;
    gate.refuse(move |request| {
        let refused = faults > 0 && reads_history(request, 1);
        faults -= usize::from(refused);
        refused
    });
    world.configs[0].rpc = vec![gate.url.clone()];
    world.start_node(0).await;
    for study in [1, 2] {
        let url = format!("{}/v1/studies/{study}/rounds/1", world.url(0));
        world.eventually("a seat", async || world.client.get(&url).send().await.unwrap().status() == 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_whose_history_cannot_be_read_keeps_no_other_from_its_seat() {
    let mut world = World::prepare(4, 2).await;
    assert_eq!(world.create_study().await, 2);
    for study in [1, 2] {
        let (subject, deadline) = (B256::repeat_byte(study), now() + 600);
        world.ledger.open_round(&world.sponsor, study.into(), subject, deadline, deadline + 600).await.unwrap();
    }
    let gate = Gate::start(&world.sequencer).await;
    gate.refuse(|request| reads_history(request, 1));
    world.configs[0].rpc = vec![gate.url.clone()];
    world.start_node(0).await;
    let url = format!("{}/v1/studies/2/rounds/1", world.url(0));
    world.eventually("a seat", async || world.client.get(&url).send().await.unwrap().status() == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_whose_opening_was_reorganised_away_is_served_when_it_is_opened_again() {
    let mut world = World::start(4, 2).await;
    let before = world.sequencer.chain().fork();
    let vanished = world.open_round(1, 600).await;
    for node in 0..4 {
        world.eventually("a seat", async || world.get(node, 1, "", None).await.0 == 200).await;
    }
    let _old = world.sequencer.replace(before);
    world.sequencer.mine_empty().unwrap();
    for node in 0..4 {
        world.eventually("no seat", async || world.get(node, 1, "", None).await.0 == 404).await;
    }
    // The sponsor's transaction is free again.
    world.sponsor = Wallet::new(world.sponsor.key().clone());
    let again = world.open_round(1, 900).await;
    assert_eq!((vanished.terms.round, again.terms.round), (1, 1));
    for site in 0..2 {
        assert_eq!(world.upload(0, 1, world.contribution(&again.terms, site).body()).await.0, 200);
    }
    // With four nodes nothing moves unless all of them take part.
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_that_is_not_final_closes_nothing_and_may_be_reorganised_away() {
    let world = World::start(4, 2).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(2)).await.unwrap();
    let round = world.open_round(1, 600).await;
    for site in 0..2 {
        assert_eq!(world.upload(0, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    let stage = async |node: usize| world.get_json(node, 1, "").await["stage"].as_str().unwrap().to_owned();
    world.eventually("the certificate", async || world.ledger.round(1, 1).await.unwrap().certificate.is_some()).await;
    for _ in 0..2 {
        world.sequencer.mine_empty().unwrap();
    }
    for node in 0..4 {
        world.eventually("a final certificate", async || stage(node).await == "final").await;
    }
    let before = world.sequencer.chain().fork();
    let settled = world.settled(1).await;
    let at = settled.settlement.as_ref().unwrap().at.block.number;
    for node in 0..4 {
        world.eventually("the settlement's block", async || head(&world, node).await >= at).await;
        assert_eq!(stage(node).await, "final", "nothing is closed yet");
    }
    // Another history, in which it did not happen: the round goes on, and is settled there.
    let _old = world.sequencer.replace(before);
    world.sequencer.mine_empty().unwrap();
    let again = world.settled(1).await;
    world.check_aggregate(&again, &[0, 1]).await;
    for node in 0..4 {
        world
            .eventually("a final settlement", async || {
                let _mined = world.sequencer.mine_empty();
                stage(node).await == "settled"
            })
            .await;
    }
}

async fn head(world: &World, node: usize) -> u64 {
    let answer = world.client.get(format!("{}/v1/status", world.url(node))).send().await.unwrap();
    answer.json::<serde_json::Value>().await.unwrap()["head"]["number"].as_u64().unwrap_or(0)
}
