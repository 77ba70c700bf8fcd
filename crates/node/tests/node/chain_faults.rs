//! What the chain and its endpoints may do to a node.

use crate::disk::contributions;
use crate::harness::{Gate, World, now, reads_history};
use alloy_primitives::{B256, keccak256};
use consilium_core::params::Finality;
use consilium_ledger::{Round, Wallet};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
    world.sponsor = Wallet::new(world.sponsor.key().unwrap().clone());
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
        // A node that closed at the sight of the settlement would not come to this.
        world.eventually("a pause", async || world.get_json(node, 1, "").await["paused"] == true).await;
        assert!(head(&world, node).await >= at);
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

/// Leaves events out of every answer.
fn without(events: &'static [&'static str]) -> impl FnMut(&str, &mut Value) + Send {
    let hidden: Vec<Value> = events.iter().map(|event| json!(keccak256(event))).collect();
    move |request, answer| {
        if let Some(logs) = answer["result"].as_array_mut().filter(|_| request.contains("eth_getLogs")) {
            logs.retain(|log| !hidden.contains(&log["topics"][0]));
        }
    }
}

async fn contribute(world: &World, round: &Round, sites: &[usize]) {
    for site in sites {
        let sent = world.contribution(&round.terms, *site).body();
        assert_eq!(world.upload(1, round.terms.round, sent).await.0, 200);
    }
}

async fn stage(world: &World, node: usize) -> String {
    let (status, body) = world.get(node, 1, "", None).await;
    let shown: Value = serde_json::from_slice(&body).unwrap();
    if status == 200 { shown["stage"].as_str().unwrap().to_owned() } else { "none".to_owned() }
}

const CERTIFIED: &str = "RoundCertified(uint64,uint64,bytes32,uint32,uint256,bytes)";
const SETTLED: &str = "RoundSettled(uint64,uint64,bytes32,bytes32[],bytes32,bytes32,uint256)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_the_endpoint_left_out_is_found_before_the_deadline_closes_the_round() {
    left_out(&[CERTIFIED, SETTLED]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_the_endpoint_left_out_is_found_when_a_settlement_is_shown() {
    left_out(&[CERTIFIED]).await;
}

async fn left_out(events: &'static [&'static str]) {
    let mut world = World::prepare(5, 2).await;
    let gate = Gate::start(&world.sequencer).await;
    gate.change(without(events));
    world.configs[0].rpc = vec![gate.url.clone()];
    for node in 0..5 {
        world.start_node(node).await;
    }
    let round = world.open_round(1, 8).await;
    contribute(&world, &round, &[0, 1]).await;
    world.eventually("all contributions", async || world.get_json(0, 1, "").await["accepted"] == 2).await;
    world.settled(1).await;
    // A settlement is shown, or the deadline passes, and this node has seen no certificate.
    world
        .eventually("an end", async || {
            let _mined = world.sequencer.mine_empty();
            world.get_json(0, 1, "").await["paused"] == true
        })
        .await;
    gate.change(|_, _| {});
    world.eventually("the settlement", async || stage(&world, 0).await == "settled").await;
    assert_eq!(contributions(&world, 0).len(), 4, "two headers and two masked vectors");
}

/// Four nodes, the first behind a gate, and round 1 with a certificate that waits for four more blocks to be final.
async fn certified_behind_a_gate() -> (World, Gate) {
    let mut world = World::prepare(4, 2).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(4)).await.unwrap();
    let gate = Gate::start(&world.sequencer).await;
    world.configs[0].rpc = vec![gate.url.clone()];
    for node in 0..4 {
        world.start_node(node).await;
    }
    let round = world.open_round(1, 600).await;
    contribute(&world, &round, &[0, 1]).await;
    world.eventually("the certificate", async || stage(&world, 0).await == "certified").await;
    (world, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_falls_behind_what_it_has_shown_hides_no_certificate_from_a_new_seat() {
    let (mut world, gate) = certified_behind_a_gate().await;
    world.sequencer.mine_empty().unwrap();
    let newest = world.sequencer.chain().head().number();
    world.eventually("the newest block", async || head(&world, 0).await == newest).await;
    world.kill_node(0);
    let at = world.ledger.round(1, 1).await.unwrap().certificate.unwrap().at.block.number;
    gate.show_as_head(Some(at - 1));
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    gate.refuse(move |request| {
        counter.fetch_add(usize::from(reads_history(request, 1)), Ordering::SeqCst);
        false
    });
    world.start_node(0).await;
    world
        .eventually("attempts to take the seat", async || read.load(Ordering::SeqCst) > 2 || stage(&world, 0).await != "none")
        .await;
    gate.show_as_head(None);
    // With four nodes nothing is settled without this one.
    for _ in 0..4 {
        world.sequencer.mine_empty().unwrap();
    }
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_whose_block_one_look_shows_as_replaced_is_not_lost() {
    let (world, gate) = certified_behind_a_gate().await;
    let at = world.ledger.round(1, 1).await.unwrap().certificate.unwrap().at.block.number;
    world.sequencer.mine_empty().unwrap();
    world.eventually("a later block", async || head(&world, 0).await > at).await;
    // The watcher asks for its own position only, which is later.
    let (lies, asked) = (Arc::new(AtomicUsize::new(0)), format!("\"{at:#x}\""));
    let counter = Arc::clone(&lies);
    gate.change(move |request, answer| {
        let of_certificate = request.contains("eth_getBlockByNumber") && request.contains(&asked);
        if of_certificate && counter.fetch_add(1, Ordering::SeqCst) == 0 {
            answer["result"]["hash"] = json!(B256::repeat_byte(7));
        }
    });
    world.eventually("a look", async || lies.load(Ordering::SeqCst) > 0).await;
    for _ in 0..4 {
        world.sequencer.mine_empty().unwrap();
    }
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_never_becomes_final_does_not_keep_a_round_open_for_ever() {
    let mut world = World::prepare(4, 2).await;
    let gate = Gate::start(&world.sequencer).await;
    world.configs[0].rpc.push(gate.url.clone());
    world.configs[0].retention = Duration::from_secs(1);
    world.start_node(0).await;
    let (deadline, settle_by) = (now() + 6, now() + 7);
    world.ledger.open_round(&world.sponsor, 1, B256::repeat_byte(1), deadline, settle_by).await.unwrap();
    world.eventually("a seat", async || stage(&world, 0).await == "collecting").await;
    // The second endpoint is gone for good.
    gate.refuse(|_| true);
    world
        .eventually("the end", async || {
            let _mined = world.sequencer.mine_empty();
            stage(&world, 0).await == "closed"
        })
        .await;
    assert!(now() > settle_by, "not before nothing can be settled any more, for as long as contributions are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_an_opening_that_vanished_do_not_bind_the_round_that_is_opened_instead() {
    let mut world = World::start(4, 3).await;
    let before = world.sequencer.chain().fork();
    let vanished = world.open_round(1, 600).await;
    contribute(&world, &vanished, &[2]).await;
    for node in 0..4 {
        let receipts = format!("/receipts/{}", world.sites[2].address());
        let known = async || world.get_json(node, 1, &receipts).await["receipts"].as_array().unwrap().len();
        world.eventually("the certificate of a contribution", async || known().await == 4).await;
    }
    let _old = world.sequencer.replace(before);
    world.sequencer.mine_empty().unwrap();
    for node in 0..4 {
        world.eventually("no seat", async || stage(&world, node).await == "none").await;
    }
    world.sponsor = Wallet::new(world.sponsor.key().unwrap().clone());
    let again = world.open_round(1, 16).await;
    assert_eq!((vanished.terms.round, again.terms.round), (1, 1));
    assert_ne!(vanished.terms.policy, again.terms.policy);
    contribute(&world, &again, &[0, 1]).await;
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

async fn head(world: &World, node: usize) -> u64 {
    let answer = world.client.get(format!("{}/v1/status", world.url(node))).send().await.unwrap();
    answer.json::<serde_json::Value>().await.unwrap()["head"]["number"].as_u64().unwrap_or(0)
}

/// The opening is shown in time, and what a seat needs is not, until the cutoff is over: sites could not upload meanwhile. A
/// certificate at once would be of the first that come, chosen by whoever delayed the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_seat_was_delayed_past_the_cutoff_votes_as_late_as_one_that_saw_the_round_late() {
    let mut world = World::prepare(4, 3).await;
    let gate = Gate::start(&world.sequencer).await;
    for node in 0..4 {
        world.configs[node].rpc = vec![gate.url.clone()];
        world.start_node(node).await;
    }
    for node in 0..4 {
        world.eventually("following", async || head(&world, node).await > 0).await;
    }
    gate.refuse(|request| reads_history(request, 1));
    let round = world.open_round(1, 40).await;
    let (opened, cutoff) = (round.terms.policy.opened, round.terms.cutoff_millis() / 1000);
    tokio::time::sleep(Duration::from_secs((cutoff + 1).saturating_sub(now()))).await;
    gate.refuse(|_| false);
    for node in 0..4 {
        world.eventually("a seat", async || world.get(node, 1, "", None).await.0 == 200).await;
    }
    let seated = now();
    for site in 0..2 {
        assert_eq!(world.upload(0, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    world.eventually("a certificate", async || world.ledger.round(1, 1).await.unwrap().certificate.is_some()).await;
    let (at, half) = (now(), (cutoff + round.terms.policy.deadline) / 2);
    assert!(at >= half, "seats {} s, certificate {} s after the opening", seated - opened, at - opened);
}
