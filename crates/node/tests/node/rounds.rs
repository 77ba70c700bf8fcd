//! Rounds from opening to settlement, with everything that may go wrong on the way.

use crate::disk::contributions;
use crate::harness::{BOND, Fate, Gate, World, code, detour, hex};
use alloy_primitives::{B256, U256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::{SignerSet, Vote};
use consilium_core::field::Fp;
use consilium_core::params::Finality;
use consilium_ledger::{Event, Offence, Round};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_and_three_sites_settle_a_round_and_then_another() {
    let world = World::start(5, 3).await;
    for subject in 1..=2 {
        let round = world.open_round(subject, 600).await;
        for site in 0..3 {
            let answer = world.upload(site % 5, round.terms.round, world.contribution(&round.terms, site).body()).await;
            assert_eq!(answer.0, 200, "{}", answer.1);
            assert!(!answer.1["receipts"].as_array().unwrap().is_empty());
        }
        let settled = world.settled(round.terms.round).await;
        assert_eq!(settled.certificate.as_ref().unwrap().vote.size, 3);
        world.check_aggregate(&settled, &[0, 1, 2]).await;
    }
    let statements = world.get_json(0, 1, "/statements").await;
    assert!(statements["finals"].as_array().unwrap().len() >= 4, "{statements}");
    assert!(statements["settlements"].as_array().unwrap().len() >= 4, "{statements}");
    assert!(statements["evidence"].as_array().unwrap().is_empty(), "{statements}");
    assert_eq!(world.get_json(0, 1, "/set").await["members"].as_array().unwrap().len(), 3);
    let metrics = world.client.get(format!("{}/metrics", world.url(0))).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("consilium_contributions_accepted_total 6"), "{metrics}");
}

/// The votes of some nodes, numbered from 0, for the set of all these contributions.
fn votes(world: &World, round: &Round, digests: &[B256], nodes: &[usize]) -> (Vote, SignerSet) {
    let cohort = cohort(world, digests);
    let (study, round) = (round.terms.study, round.terms.round);
    let vote = Vote { study, round, setRoot: cohort.root(), size: cohort.size() };
    let sign = |node: &usize| (node + 1, world.addresses.domain().sign(world.member_key(*node), &vote));
    let signed = SignerSet::collect(&nodes.iter().map(sign).collect());
    (vote, signed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_vote_the_certificate_leaves_out_adds_it_and_is_paid_as_the_others_are() {
    let mut world = World::prepare(5, 2).await;
    let currency = world.ledger.currency(1).await.unwrap();
    world.ledger.mint_trial_coins(&world.sponsor, currency, world.sponsor.address(), U256::from(1_000)).await.unwrap();
    world.ledger.fund(&world.sponsor, 1, U256::from(1_000)).await.unwrap();
    world.ledger.set_rewards(&world.sponsor, 1, U256::from(1_000), 1_000).await.unwrap();
    // Nobody's transaction goes through, but all hear of each other's votes.
    let mut gates = Vec::new();
    for node in 0..5 {
        let gate = Gate::start(&world.sequencer).await;
        gate.refuse(|request| request.contains("eth_sendRawTransaction"));
        world.configs[node].rpc = vec![gate.url.clone()];
        world.start_node(node).await;
        gates.push(gate);
    }
    let round = world.open_round(1, 600).await;
    let mut digests = Vec::new();
    for site in 0..2 {
        let (status, answer) = world.upload(site, 1, world.contribution(&round.terms, site).body()).await;
        assert_eq!(status, 200);
        digests.push(answer["digest"].as_str().unwrap().parse().unwrap());
    }
    let all = async |node: usize| world.get_json(node, 1, "").await["accepted"] == 2;
    for node in 0..5 {
        world.eventually("two contributions everywhere", async || all(node).await).await;
    }
    // As soon as it holds both it votes; its journal has that long before this.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (vote, signed) = votes(&world, &round, &digests, &[0, 1, 2, 3]);
    world.ledger.certify(&world.sponsor, &vote, &signed).await.unwrap();

    gates[4].refuse(|_| false);
    let late = async || world.ledger.round(1, 1).await.unwrap().has_voted(5);
    world.eventually("the vote of node 5", late).await;
    // A node that is started again sees on the chain that its vote is there.
    world.kill_node(4);
    world.start_node(4).await;
    gates.iter().for_each(|gate| gate.refuse(|_| false));
    let settled = world.settled(1).await;
    assert_eq!(settled.certificate.as_ref().unwrap().voters(), [1, 2, 3, 4]);
    assert_eq!((settled.late.len(), settled.genuine_late_votes().into_keys().collect::<Vec<_>>()), (1, vec![5]));
    world.check_aggregate(&settled, &[0, 1]).await;

    let books = world.ledger.books(1).await.unwrap();
    let paid = books.round(1).unwrap();
    assert_eq!((paid.late.clone(), paid.per_node), (vec![(5, world.keys[4].address())], U256::from(20)));
    let owed = books.owed(&[(1, cohort(&world, &digests))].into(), u64::MAX).await.unwrap();
    let nodes: Vec<_> = owed.iter().filter(|credit| credit.leaf.is_some_and(|leaf| leaf.as_node)).collect();
    assert!(nodes.len() == 5 && nodes.iter().all(|credit| credit.pay == U256::from(20)), "{owed:?}");
}

fn cohort(world: &World, digests: &[B256]) -> Cohort {
    let members = world.sites.iter().zip(digests).map(|(site, digest)| SetMember { site: site.address(), digest: *digest });
    Cohort::new(members.collect()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbage_box_is_repaired_and_its_contribution_counts() {
    let world = World::start(4, 2).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let mut sent = world.contribution(&round.terms, 0);
    world.resealed(&round.terms, 0, &mut sent, |boxes| boxes[2].fill(7));
    let refused = world.upload(2, number, sent.body()).await;
    assert_eq!(code(&refused), (503, "not-ready"));
    assert_eq!(world.upload(0, number, sent.body()).await.0, 200);
    assert_eq!(world.upload(1, number, world.contribution(&round.terms, 1).body()).await.0, 200);
    // With n = 4 and t = 1 every node must hold every contribution.
    let settled = world.settled(number).await;
    world.check_aggregate(&settled, &[0, 1]).await;
    let metrics = world.client.get(format!("{}/metrics", world.url(2))).send().await.unwrap().text().await.unwrap();
    for line in ["consilium_boxes_repaired_total 1", "consilium_contributions_accepted_total 2"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_crashes_mid_round_comes_back_and_the_round_settles() {
    let mut world = World::start(4, 3).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    for site in 0..2 {
        assert_eq!(world.upload(1, number, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    let all = async |node: usize, count: u64| world.get_json(node, number, "").await["accepted"] == count;
    for node in 0..4 {
        world.eventually("two contributions everywhere", async || all(node, 2).await).await;
    }
    // n = 4 and t = 1: without this node nothing moves.
    world.kill_node(1);
    assert_eq!(world.upload(0, number, world.contribution(&round.terms, 2).body()).await.0, 200);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(world.ledger.round(1, number).await.unwrap().certificate.is_none());
    world.start_node(1).await;
    let settled = world.settled(number).await;
    assert_eq!(settled.certificate.as_ref().unwrap().vote.size, 3);
    world.check_aggregate(&settled, &[0, 1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_misses_the_whole_first_half_still_makes_the_quorum() {
    let mut world = World::prepare(4, 2).await;
    for node in 0..3 {
        world.start_node(node).await;
    }
    let round = world.open_round(1, 600).await;
    for site in 0..2 {
        assert_eq!(world.upload(site, round.terms.round, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    world.start_node(3).await;
    let settled = world.settled(round.terms.round).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_node_is_named_with_evidence_and_the_round_settles_without_it() {
    let mut world = World::prepare(5, 2).await;
    for node in 0..4 {
        world.start_node(node).await;
    }
    let liar = world.builder(4).with_share_tamper(|share| share[0] += Fp::ONE);
    world.adopt(4, liar).await;
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    for site in 0..2 {
        assert_eq!(world.upload(4, number, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    let settled = world.settled(number).await;
    world.check_aggregate(&settled, &[0, 1]).await;
    world
        .eventually("evidence against node 5", async || {
            let evidence = world.get_json(0, number, "/statements").await["evidence"].clone();
            evidence[0]["statements"][0]["node"] == 5 && evidence[0]["offence"] == "wrong-share-root"
        })
        .await;
    assert!(!settled.settlement.unwrap().signers().contains(&5));
    world
        .eventually("the conviction of node 5", async || {
            let head = world.ledger.head().await.unwrap().number;
            let events = world.ledger.events(0, head).await.unwrap().events.into_iter().map(|event| event.event);
            let convicted: Vec<_> = events.filter_map(|e| if let Event::Convicted(c) = e { Some(c) } else { None }).collect();
            assert!(convicted.len() <= 1, "{convicted:?}");
            let members = round.terms.committee.members();
            convicted.first().is_some_and(|conviction| {
                assert_eq!((conviction.study, conviction.round, conviction.node), (1, number, members[4].address));
                assert_eq!(conviction.offence, Offence::WrongShare);
                assert_eq!(conviction.reward + conviction.kept, U256::from(BOND));
                members[..4].iter().any(|member| member.address == conviction.reporter)
            })
        })
        .await;
    assert!(world.ledger.study(1).await.unwrap().vacant, "no round opens before the sponsor forms a new committee");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certified_subject_is_not_served_again() {
    let world = World::start(4, 2).await;
    for subject in [1, 2] {
        let round = world.open_round(subject, 600).await;
        for site in 0..2 {
            assert_eq!(world.upload(0, round.terms.round, world.contribution(&round.terms, site).body()).await.0, 200);
        }
        world.settled(round.terms.round).await;
    }
    // The contract refuses only the last certified subject; the nodes refuse all earlier ones.
    let again = world.open_round(1, 600).await;
    let answer = world.upload(0, again.terms.round, world.contribution(&again.terms, 0).body()).await;
    assert_eq!(code(&answer), (409, "not-taking-part"));
    assert!(answer.1["error"]["message"].as_str().unwrap().contains("round 1"), "{}", answer.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_registered_kem_key_is_another_takes_no_part() {
    let mut world = World::prepare(4, 2).await;
    world.keys[0] = consilium_node::NodeKeys::from_bytes(&[101; 32], &[1; 32]).unwrap();
    world.start_node(0).await;
    let round = world.open_round(1, 600).await;
    let answer = world.upload(0, round.terms.round, world.contribution(&round.terms, 0).body()).await;
    assert_eq!(code(&answer), (409, "not-taking-part"));
    assert!(answer.1["error"]["message"].as_str().unwrap().contains("KEM key"), "{}", answer.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_final_is_not_signed_for_and_may_be_reorganised_away() {
    let world = World::start(4, 2).await;
    world.ledger.set_policy(&world.sponsor, 1, 2, Finality::Depth(3)).await.unwrap();
    let round = world.open_round(1, 600).await;
    let number = round.terms.round;
    let before = world.sequencer.chain().fork();
    for site in 0..2 {
        assert_eq!(world.upload(0, number, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    world.eventually("the certificate", async || world.get_json(0, number, "").await["stage"] == "certified").await;
    // Another history, in which it did not happen.
    let _old = world.sequencer.replace(before);
    for _ in 0..2 {
        world.sequencer.mine_empty().unwrap();
    }
    assert!(world.get_json(0, number, "/statements").await["finals"].as_array().unwrap().is_empty());
    world
        .eventually("the certificate in the new history, final", async || {
            let _mined = world.sequencer.mine_empty();
            let stage = world.get_json(0, number, "").await["stage"].clone();
            ["final", "settled"].contains(&stage.as_str().unwrap())
        })
        .await;
    let settled = world.settled(number).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_drips_its_share_and_peers_that_are_late_keep_no_node_from_the_aggregate() {
    let mut world = World::prepare(4, 2).await;
    // Until the machine of the first node has asked for all of them again, and again.
    let first_asked = Arc::new(OnceLock::new());
    let late = move |path: &str| {
        let in_time = || first_asked.get_or_init(Instant::now).elapsed() > Duration::from_secs(10);
        if !path.ends_with("/share") || in_time() { Fate::Served } else { Fate::NotYet }
    };
    let drips = |path: &str| if path.ends_with("/share") { Fate::Drips } else { Fate::Served };
    let ways = [detour(world.url(1), drips).await, detour(world.url(2), late.clone()).await, detour(world.url(3), late).await];
    world.configs[0].peers = (1..4).zip(ways).map(|(node, url)| (world.keys[node].address(), url)).collect();
    for node in 0..4 {
        world.start_node(node).await;
    }
    let round = world.open_round(1, 600).await;
    for site in 0..2 {
        assert_eq!(world.upload(1, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    // With four nodes nothing is settled without the first one's signature.
    let settled = world.settled(1).await;
    world.check_aggregate(&settled, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_and_not_certified_is_taken_out_of_the_sum_also_when_the_disk_lost_it() {
    for lost in [false, true] {
        let mut world = World::prepare(4, 3).await;
        // Nobody gets the contribution of the last site from the one node that has it.
        let withheld = Arc::new(OnceLock::<String>::new());
        let shown = Arc::clone(&withheld);
        let way = detour(world.url(1), move |path| match shown.get() {
            Some(digest) if path.contains(digest) => Fate::NotYet,
            _ => Fate::Served,
        });
        let way = way.await;
        for node in [0, 2, 3] {
            world.configs[node].peers.insert(world.keys[1].address(), way.clone());
        }
        for node in 0..4 {
            world.start_node(node).await;
        }
        let round = world.open_round(1, 8).await;
        let alone = world.contribution(&round.terms, 2);
        let digest = alone.header.body.digest(&round.terms.context().of_site(world.sites[2].address()));
        withheld.set(hex(digest.as_slice())).unwrap();
        assert_eq!(world.upload(1, 1, alone.body()).await.0, 200);
        if lost {
            let header = contributions(&world, 1).into_iter().find(|path| path.ends_with("header")).unwrap();
            std::fs::remove_file(header).unwrap();
        }
        for site in 0..2 {
            assert_eq!(world.upload(2, 1, world.contribution(&round.terms, site).body()).await.0, 200);
        }
        // With four nodes nothing is settled without the signature of the one.
        let settled = world.settled(1).await;
        assert_eq!(settled.certificate.as_ref().unwrap().vote.size, 2);
        world.check_aggregate(&settled, &[0, 1]).await;
    }
}
