//! Nodes prove by themselves that the rest of the committee has certified a site which nobody admitted, or has settled
//! rewards that are not those of its set.

use crate::harness::World;
use crate::offences::convictions;
use alloy_primitives::{Address, B256, U256};
use axum::Router;
use axum::routing::get;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::{Settlement, SignerSet, Vote};
use consilium_core::settle::{reward_paths, reward_root, share_roots_hash};
use consilium_ledger::contracts::ITreasury;
use consilium_ledger::{Offence, State};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;

/// The four who vote and sign in these tests.
const LIARS: [usize; 4] = [2, 3, 4, 5];
/// Seconds for which a settlement of the second study can be challenged.
const WINDOW: u32 = 1;

fn member(site: Address) -> SetMember {
    SetMember { site, digest: B256::repeat_byte(3) }
}

/// The admitted sites, and one more if there is one.
fn cohort(world: &World, foreign: Option<Address>) -> Cohort {
    let admitted = world.sites.iter().map(|site| member(site.address()));
    let mut members: Vec<SetMember> = admitted.chain(foreign.map(member)).collect();
    members.sort_unstable();
    Cohort::new(members).unwrap()
}

fn accounts(world: &World, nodes: &[usize]) -> Vec<Address> {
    nodes.iter().map(|node| world.keys[node - 1].address()).collect()
}

async fn certify(world: &World, study: u64, cohort: &Cohort) {
    let (vote, domain) = (Vote { study, round: 1, setRoot: cohort.root(), size: cohort.size() }, world.addresses.domain());
    let votes = LIARS.iter().map(|node| (*node, domain.sign(world.member_key(node - 1), &vote))).collect();
    world.ledger.certify(&world.sponsor, &vote, &SignerSet::collect(&votes)).await.unwrap();
}

async fn settle(world: &World, study: u64, cohort: &Cohort, reward_root: B256) -> Settlement {
    let share_roots: Vec<B256> = (1..=5).map(B256::repeat_byte).collect();
    let settlement = Settlement {
        study,
        round: 1,
        setRoot: cohort.root(),
        shareRootsHash: share_roots_hash(&share_roots),
        aggregateRoot: B256::repeat_byte(7),
        rewardRoot: reward_root,
    };
    let domain = world.addresses.domain();
    let signed = LIARS.iter().map(|node| (*node, domain.sign(world.member_key(node - 1), &settlement))).collect();
    world.ledger.settle(&world.sponsor, &settlement, &share_roots, &SignerSet::collect(&signed)).await.unwrap();
    settlement
}

/// Nodes 2 to 5 show the set, and nothing else.
async fn serve_set(world: &World, study: u64, cohort: &Cohort) {
    for node in LIARS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        world.proxies[node - 1].point_to(Some(listener.local_addr().unwrap()));
        let shown = json!({ "members": cohort }).to_string();
        let path = format!("/v1/studies/{study}/rounds/1/set");
        let router = Router::new().route(&path, get(async move || shown.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

/// Node 1 convicts all the others of this, and nobody else does anything.
async fn are_convicted(world: &World, offence: Offence) {
    world.eventually("the conviction of all liars", async || convictions(world).await.len() == 4).await;
    let (found, me) = (convictions(world).await, world.keys[0].address());
    assert!(found.iter().all(|one| one.offence == offence && one.reporter == me), "{found:?}");
    assert_eq!(found.iter().map(|one| one.node).collect::<Vec<_>>(), accounts(world, &LIARS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_proves_a_foreign_site_once_although_the_set_is_shown_late_and_it_was_started_again_in_between() {
    let mut world = World::prepare(5, 3).await;
    world.open_round(1, 600).await;
    world.start_node(0).await;
    world.eventually("the round", async || world.get(0, 1, "", None).await.0 == 200).await;
    let cohort = cohort(&world, Some(Address::repeat_byte(0xfe)));
    certify(&world, 1, &cohort).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(convictions(&world).await.is_empty(), "nobody has shown the set");
    world.kill_node(0);
    serve_set(&world, 1, &cohort).await;
    world.start_node(0).await;
    are_convicted(&world, Offence::ForeignSite).await;
    assert_eq!(world.ledger.round(1, 1).await.unwrap().state, State::Fraudulent);

    // The contract would take the proof again and again: the node pays for it once.
    let money = async || world.ledger.balance(world.keys[0].address()).await.unwrap();
    let before = money().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(money().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_admitted_sites_and_its_rewards_convict_nobody() {
    let mut world = World::prepare(5, 3).await;
    world.open_round(1, 600).await;
    let cohort = cohort(&world, None);
    certify(&world, 1, &cohort).await;
    settle(&world, 1, &cohort, reward_root(&cohort, &accounts(&world, &LIARS))).await;
    serve_set(&world, 1, &cohort).await;
    world.start_node(0).await;
    world.eventually("the round", async || world.get(0, 1, "", None).await.0 == 200).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(convictions(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_proves_rewards_for_nodes_that_did_not_vote() {
    let mut world = World::prepare(5, 3).await;
    world.open_round(1, 600).await;
    let cohort = cohort(&world, None);
    certify(&world, 1, &cohort).await;
    settle(&world, 1, &cohort, reward_root(&cohort, &accounts(&world, &[1, 2, 3, 4, 5]))).await;
    serve_set(&world, 1, &cohort).await;
    world.start_node(0).await;
    are_convicted(&world, Offence::WrongReward).await;
    assert_eq!(world.ledger.round(1, 1).await.unwrap().state, State::Fraudulent);
}

/// A claim of a thief who stands in a site's place.
async fn cash(world: &World, settled: &Settlement, stolen: &Cohort) {
    let share = ITreasury::Share {
        round: 1,
        index: 0,
        sites: 3,
        nodes: 4,
        setRoot: settled.setRoot,
        shareRootsHash: settled.shareRootsHash,
        aggregateRoot: settled.aggregateRoot,
        path: reward_paths(stolen, &accounts(world, &LIARS)).open(0),
        length: 0,
        record: alloy_primitives::Uint::ZERO,
        position: 0,
        archivePath: Vec::new(),
    };
    let account = stolen.members()[0].site;
    let claim = ITreasury::Claim { study: settled.study, account, shares: vec![share] };
    world.ledger.claim(&world.sponsor, &[claim]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_proves_false_rewards_from_the_claim_that_shows_one() {
    let mut world = World::prepare(5, 3).await;
    let study = world.create_paying_study(WINDOW, U256::from(1_000)).await;
    let deadline = crate::harness::now() + 600;
    world.ledger.open_round(&world.sponsor, study, B256::repeat_byte(1), deadline, deadline + 600).await.unwrap();
    let (right, thief) = (cohort(&world, None), Address::repeat_byte(0x01));
    let others = right.members()[1..].iter().copied();
    let stolen = Cohort::new([member(thief)].into_iter().chain(others).collect()).unwrap();
    certify(&world, study, &right).await;
    let settled = settle(&world, study, &right, reward_root(&stolen, &accounts(&world, &LIARS))).await;
    serve_set(&world, study, &right).await;
    world.start_node(0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(convictions(&world).await.is_empty(), "nobody has shown a leaf");
    cash(&world, &settled, &stolen).await;
    are_convicted(&world, Offence::WrongReward).await;
    assert_eq!(world.ledger.round(study, 1).await.unwrap().state, State::Refuted);
}
