//! What a node's operator lets it serve, and how it leaves what is beyond that.

use crate::harness::{BOND, Gate, World, code, now};
use alloy_primitives::{Address, B256, U256};
use consilium_core::params::Finality;
use consilium_ledger::{Event, Round};
use consilium_node::Policy;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The challenge window of the usual study, in seconds.
const WINDOW: u32 = 3600;

async fn open_round(world: &World, study: u64, subject: u8) -> Round {
    let deadline = now() + 600;
    let subject = B256::repeat_byte(subject);
    let opened = world.ledger.open_round(&world.sponsor, study, subject, deadline, deadline + 600).await.unwrap().output;
    world.ledger.round(study, opened).await.unwrap()
}

/// What the status of the first node says of a study.
async fn beyond(world: &World, study: u64) -> Value {
    let answer = world.client.get(format!("{}/v1/status", world.url(0))).send().await.unwrap();
    let status: Value = answer.json().await.unwrap();
    let found = status["beyond_policy"].as_array().unwrap().iter().find(|seat| seat["study"] == study);
    found.cloned().unwrap_or(Value::Null)
}

async fn resignation(world: &World, study: u64) -> String {
    beyond(world, study).await["resignation"].as_str().unwrap_or("none").to_owned()
}

/// Asks the first node for a round: the status, and the error's message.
async fn ask(world: &World, study: u64, round: u64) -> (u16, String, String) {
    let answer = world.client.get(format!("{}/v1/studies/{study}/rounds/{round}", world.url(0))).send().await.unwrap();
    let answer = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
    let (status, code) = code(&answer);
    (status, code.to_owned(), answer.1["error"]["message"].as_str().unwrap_or("").to_owned())
}

async fn refused(world: &World, study: u64, round: u64, reason: &str) {
    world.eventually(&format!("a refusal for {reason}"), async || ask(world, study, round).await.0 == 409).await;
    let (_, code, message) = ask(world, study, round).await;
    assert!(code == "not-taking-part" && message.contains(reason), "{code}: {message}");
}

async fn served(world: &World, study: u64, round: u64) {
    world.eventually("a seat", async || ask(world, study, round).await.0 == 200).await;
}

/// The heights at which a node was discharged from a study.
async fn discharges(world: &World, wanted: u64, node: usize) -> Vec<u64> {
    let head = world.ledger.head().await.unwrap().number;
    let events = world.ledger.events(0, head).await.unwrap().events.into_iter();
    let me = world.keys[node].address();
    let of_seat = |event: &Event| matches!(event, Event::Discharged { study, node, .. } if *study == wanted && *node == me);
    events.filter(|event| of_seat(&event.event)).map(|event| event.at.block.number).collect()
}

/// How many transactions the first node has sent.
async fn sent(world: &World) -> u64 {
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionCount", "params": [world.keys[0].address(), "latest"]});
    let answer = world.client.post(&world.configs[1].rpc[0]).json(&request).send().await.unwrap();
    let count = answer.json::<Value>().await.unwrap()["result"].as_str().unwrap().to_owned();
    u64::from_str_radix(count.trim_start_matches("0x"), 16).unwrap()
}

async fn metric(world: &World, name: &str) -> String {
    let text = world.client.get(format!("{}/metrics", world.url(0))).send().await.unwrap().text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap().to_owned()
}

async fn contribute(world: &World, round: &Round, sites: &[usize]) {
    for site in sites {
        let sent = world.contribution(&round.terms, *site).body();
        assert_eq!(world.upload(1, round.terms.round, sent).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_seated_beyond_its_policy_resigns_once_and_stays_where_it_is_within() {
    let mut world = World::prepare(4, 2).await;
    world.configs[0].policy.minimum_window = Some(WINDOW);
    for node in 0..4 {
        world.start_node(node).await;
    }
    let hasty = world.create_study_with(60).await;
    world.eventually("the resignation", async || resignation(&world, hasty).await == "done").await;
    let shown = beyond(&world, hasty).await;
    assert!(shown["reason"].as_str().unwrap().contains("`policy.minimum_window` asks for 3600"), "{shown}");
    assert_eq!(discharges(&world, hasty, 0).await.len(), 1);
    let bond = world.ledger.bond(hasty, world.keys[0].address()).await.unwrap();
    assert!(bond.until > now(), "the bond is on its way back: {bond:?}");
    assert_eq!(metric(&world, "consilium_seats_beyond_policy").await, "1");
    assert_eq!(metric(&world, "consilium_resignations_total").await, "1");

    // Where it is within its policy it serves: four nodes settle nothing without it.
    let round = open_round(&world, 1, 1).await;
    contribute(&world, &round, &[0, 1]).await;
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
    assert!(discharges(&world, 1, 0).await.is_empty() && beyond(&world, 1).await.is_null());

    // A node that is started again sees from the chain that nothing is left to send.
    world.eventually("all transactions", async || ask(&world, 1, 1).await.0 == 200).await;
    world.kill_node(0);
    let before = sent(&world).await;
    world.start_node(0).await;
    world.eventually("the same end", async || resignation(&world, hasty).await == "done").await;
    assert_eq!((sent(&world).await, discharges(&world, hasty, 0).await.len()), (before, 1));
    assert_eq!(metric(&world, "consilium_resignations_total").await, "0");

    // Seated again, it leaves again; without a seat there is nothing to show.
    let nodes: Vec<Address> = world.keys.iter().map(consilium_node::NodeKeys::address).collect();
    world.ledger.set_committee(&world.sponsor, hasty, 1, &nodes).await.unwrap();
    world.eventually("a second resignation", async || discharges(&world, hasty, 0).await.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_that_were_begun_are_finished_before_the_node_resigns() {
    let mut world = World::prepare(4, 2).await;
    world.configs[0].policy.finality = Some(vec![Finality::Instant]);
    for node in 0..4 {
        world.start_node(node).await;
    }
    let round = open_round(&world, 1, 1).await;
    contribute(&world, &round, &[0]).await;
    let receipts = format!("/receipts/{}", world.sites[0].address());
    let signed = async || world.get_json(0, 1, &receipts).await["receipts"].as_array().unwrap().len() == 4;
    world.eventually("a receipt", signed).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(1)).await.unwrap();
    world.sequencer.mine_empty().unwrap();
    world.eventually("patience", async || resignation(&world, 1).await == "after-rounds").await;
    assert_eq!(beyond(&world, 1).await["rounds"], json!([1]));

    // Nor does a restart, under a policy that would not have let it begin, make it leave what it has signed in.
    world.kill_node(0);
    world.configs[0].policy.studies = Some([7].into());
    world.start_node(0).await;
    served(&world, 1, 1).await;
    world.eventually("patience", async || resignation(&world, 1).await == "after-rounds").await;
    contribute(&world, &round, &[1]).await;
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
    let left = async || {
        world.sequencer.mine_empty().unwrap();
        resignation(&world, 1).await == "done"
    };
    world.eventually("the resignation", left).await;
    let (left, at) = (discharges(&world, 1, 0).await, settled.settlement.unwrap().at.block.number);
    assert!(left.len() == 1 && left[0] > at, "left at {left:?}, settled at {at}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_change_are_judged_for_later_rounds() {
    let mut world = World::prepare(4, 2).await;
    world.configs[0].policy = Policy { finality: Some(vec![Finality::Depth(2)]), resign: false, ..Policy::default() };
    world.start_node(0).await;
    world.eventually("a judgement", async || resignation(&world, 1).await == "off").await;
    let mut rounds = 0;
    for (rule, refusal) in [(Finality::Depth(3), None), (Finality::Depth(1), Some("\"depth:1\"")), (Finality::Depth(2), None)] {
        world.ledger.set_policy(&world.sponsor, 1, 2, rule).await.unwrap();
        let deadline = now() + 8;
        let subject = B256::repeat_byte(7);
        world.ledger.open_round(&world.sponsor, 1, subject, deadline, deadline + 60).await.unwrap();
        rounds += 1;
        match refusal {
            Some(reason) => {
                refused(&world, 1, rounds, reason).await;
                world.eventually("a judgement", async || resignation(&world, 1).await == "off").await;
            }
            None => {
                served(&world, 1, rounds).await;
                world.eventually("a judgement", async || beyond(&world, 1).await.is_null()).await;
            }
        }
        // The next one opens when this one is void.
        while now() <= deadline {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        world.sequencer.mine_empty().unwrap();
    }
    assert!(discharges(&world, 1, 0).await.is_empty(), "`resign = false` only refuses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bound_is_held_against_what_the_chain_says() {
    let mut world = World::prepare(4, 2).await;
    let number = open_round(&world, 1, 1).await.terms.round;
    let usual = || Policy { resign: false, ..Policy::default() };
    let nodes: BTreeSet<Address> = world.keys.iter().map(consilium_node::NodeKeys::address).collect();
    let without_last: BTreeSet<Address> = nodes.iter().copied().filter(|node| *node != world.keys[3].address()).collect();
    let within = Policy {
        sponsors: Some([world.sponsor.address()].into()),
        studies: Some([1].into()),
        minimum_window: Some(WINDOW),
        minimum_ring: Some(64),
        maximum_ring: Some(64),
        finality: Some(vec![Finality::Instant]),
        fellow_nodes: Some(nodes),
        maximum_seats_per_operator: Some(4),
        maximum_bond: Some(U256::from(BOND)),
        maximum_dimension: 300,
        resign: false,
    };
    let beyond_it = [
        ("sponsors", Policy { sponsors: Some([Address::repeat_byte(9)].into()), ..usual() }),
        ("studies", Policy { studies: Some([2].into()), ..usual() }),
        ("minimum_window", Policy { minimum_window: Some(WINDOW + 1), ..usual() }),
        ("minimum_ring", Policy { minimum_ring: Some(65), ..usual() }),
        ("maximum_ring", Policy { maximum_ring: Some(63), ..usual() }),
        ("finality", Policy { finality: Some(vec![Finality::Depth(1), Finality::Safe, Finality::Finalized]), ..usual() }),
        ("fellow_nodes", Policy { fellow_nodes: Some(without_last), ..usual() }),
        ("maximum_seats_per_operator", Policy { maximum_seats_per_operator: Some(3), ..usual() }),
        ("maximum_bond", Policy { maximum_bond: Some(U256::from(BOND - 1)), ..usual() }),
        ("maximum_dimension", Policy { maximum_dimension: 299, ..usual() }),
    ];
    for (key, policy) in beyond_it {
        world.configs[0].policy = policy;
        world.start_node(0).await;
        let key = format!("`policy.{key}`");
        refused(&world, 1, number, &key).await;
        world.eventually("a judgement", async || resignation(&world, 1).await == "off").await;
        let reason = beyond(&world, 1).await["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(&key) && !reason.contains("; "), "this bound alone: {reason}");
        world.kill_node(0);
    }
    // The operator widens the policy, and the round that goes on is served.
    world.configs[0].policy = within;
    world.start_node(0).await;
    served(&world, 1, number).await;
    assert!(beyond(&world, 1).await.is_null());
    assert!(sent(&world).await == 2, "its registration and its consent");
}

/// Shows another challenge window in everything that an endpoint answers, events and storage alike.
fn with_window(seconds: u32) -> impl FnMut(&str, &mut Value) + Send {
    let words = [WINDOW, seconds].map(|seconds| format!("{seconds:064x}"));
    move |_, answer| *answer = serde_json::from_str(&answer.to_string().replace(&words[0], &words[1])).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_lies_alone_makes_no_node_resign() {
    let mut world = World::prepare(4, 2).await;
    let gates = [Gate::start(&world.sequencer).await, Gate::start(&world.sequencer).await];
    world.configs[0].rpc = gates.iter().map(|gate| gate.url.clone()).collect();
    world.configs[0].policy.minimum_window = Some(WINDOW);

    // The second lies: the first shows a seat within the policy, which is served.
    gates[1].change(with_window(60));
    world.start_node(0).await;
    let round = open_round(&world, 1, 1).await.terms.round;
    served(&world, 1, round).await;
    assert_eq!(resignation(&world, 1).await, "none");
    world.kill_node(0);

    // The first lies: the node serves nothing that it is shown beyond its policy, and stays.
    let study = world.create_study().await;
    let round = open_round(&world, study, 1).await.terms.round;
    gates[0].change(with_window(60));
    gates[1].change(|_, _| {});
    world.start_node(0).await;
    refused(&world, study, round, "`policy.minimum_window`").await;
    world.eventually("a dispute", async || resignation(&world, study).await == "disputed").await;
    // One that does not answer confirms nothing either.
    gates[1].refuse(|_| true);
    world.eventually("an outage", async || resignation(&world, study).await == "unconfirmed").await;
    assert!(discharges(&world, study, 0).await.is_empty());

    // When both lie nobody is left who could tell.
    gates[1].refuse(|_| false);
    gates[1].change(with_window(60));
    world.eventually("the resignation", async || discharges(&world, study, 0).await.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_resigns_only_when_the_terms_are_final_by_the_studys_own_rule() {
    let mut world = World::prepare(4, 2).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(4)).await.unwrap();
    world.configs[0].policy.finality = Some(vec![Finality::Depth(4)]);
    for _ in 0..4 {
        world.sequencer.mine_empty().unwrap();
    }
    world.start_node(0).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(3)).await.unwrap();
    world.eventually("a judgement", async || resignation(&world, 1).await == "unconfirmed").await;
    for _ in 0..2 {
        world.sequencer.mine_empty().unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!((resignation(&world, 1).await.as_str(), discharges(&world, 1, 0).await.len()), ("unconfirmed", 0));
    world.sequencer.mine_empty().unwrap();
    world.eventually("the resignation", async || resignation(&world, 1).await == "sent").await;
    for _ in 0..3 {
        world.sequencer.mine_empty().unwrap();
    }
    world.eventually("a final resignation", async || resignation(&world, 1).await == "done").await;
    assert_eq!(discharges(&world, 1, 0).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resignation_that_is_reorganised_away_is_sent_again() {
    let mut world = World::prepare(4, 2).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(3)).await.unwrap();
    world.configs[0].policy.minimum_window = Some(WINDOW + 1);
    for _ in 0..4 {
        world.sequencer.mine_empty().unwrap();
    }
    let before = world.sequencer.chain().fork();
    world.start_node(0).await;
    world.eventually("the resignation", async || resignation(&world, 1).await == "sent").await;
    let _old = world.sequencer.replace(before);
    world.sequencer.mine_empty().unwrap();
    assert!(discharges(&world, 1, 0).await.is_empty(), "it never happened");
    world.eventually("another resignation", async || discharges(&world, 1, 0).await.len() == 1).await;
    for _ in 0..3 {
        world.sequencer.mine_empty().unwrap();
    }
    world.eventually("a final resignation", async || resignation(&world, 1).await == "done").await;
    assert_eq!(discharges(&world, 1, 0).await.len(), 1);
}
