//! Offences that nodes find by themselves and prove on chain: a settlement that does not follow from its shares, also
//! after a restart, and a site that signs two contributions; and what a wrong settlement does not make an offence.

use crate::harness::{BOND, DIMENSION, Gate, World, code, now};
use alloy_primitives::{Address, B256, U256, keccak256};
use axum::Router;
use axum::routing::get;
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::eip712::{Settlement, ShareRoot, SignerSet, Vote};
use consilium_core::field::{self, Fp};
use consilium_core::merkle::vector_root;
use consilium_core::round::{Message, SignedShareRoot};
use consilium_core::settle::share_roots_hash;
use consilium_ledger::{Conviction, Doubt, Event, Offence, State};
use tokio::net::TcpListener;

const SET_ROOT: B256 = B256::repeat_byte(9);

/// The settlement of a round whose aggregate is off by one, with the vectors of all points.
async fn settle_wrongly(world: &World) -> Vec<Vec<Fp>> {
    settle(world, Fp::ONE).await
}

/// The settlement of a round whose aggregate is off by this, with the vectors of all points.
async fn settle(world: &World, off: Fp) -> Vec<Vec<Fp>> {
    let length = DIMENSION + 1;
    let value = |point: u64, i: u64| Fp::reduce(i * i + 1) + Fp::reduce(3 * i + 2) * Fp::reduce(point);
    let mut vectors: Vec<Vec<Fp>> = (0..=5).map(|point| (0..length).map(|i| value(point, i)).collect()).collect();
    vectors[0][250] += off;
    let roots: Vec<B256> = vectors.iter().map(|values| vector_root(values)).collect();
    let domain = world.addresses.domain();
    let vote = Vote { study: 1, round: 1, setRoot: SET_ROOT, size: 2 };
    let votes = (2..=5).map(|node| (node, domain.sign(world.member_key(node - 1), &vote))).collect();
    world.ledger.certify(&world.sponsor, &vote, &SignerSet::collect(&votes)).await.unwrap();
    let settlement = Settlement {
        study: 1,
        round: 1,
        setRoot: vote.setRoot,
        shareRootsHash: share_roots_hash(&roots[1..]),
        aggregateRoot: roots[0],
        rewardRoot: B256::repeat_byte(8),
    };
    let signed = (2..=5).map(|node| (node, domain.sign(world.member_key(node - 1), &settlement))).collect();
    world.ledger.settle(&world.sponsor, &settlement, &roots[1..], &SignerSet::collect(&signed)).await.unwrap();
    vectors
}

/// Serves a share and the aggregate in a node's place.
async fn serve_instead(world: &World, node: usize, vectors: &[Vec<Fp>]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.proxies[node].point_to(Some(listener.local_addr().unwrap()));
    let [share, aggregate] = [&vectors[node + 1], &vectors[0]].map(|values| field::to_bytes(values));
    let router = Router::new()
        .route("/v1/studies/1/rounds/1/share", get(async move || share.clone()))
        .route("/v1/studies/1/rounds/1/aggregate", get(async move || aggregate.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// The root of an output share that a node says it has, other than any that is settled.
fn share_root(world: &World, node: usize) -> SignedShareRoot {
    let said = ShareRoot { study: 1, round: 1, setRoot: SET_ROOT, index: node as u8, root: B256::repeat_byte(7) };
    let signature = world.addresses.domain().sign(world.member_key(node - 1), &said);
    SignedShareRoot { node, set_root: said.setRoot, root: said.root, signature }
}

async fn tell(world: &World, node: usize, from: usize, message: Message) {
    let body = serde_json::to_vec(&[message]).unwrap();
    let (path, announced) = ("/v1/studies/1/rounds/1/messages", format!("{}.{}", keccak256(&body), body.len()));
    let capability = world.capability(world.member_key(from - 1), 1, "POST", path, announced.as_bytes(), now() + 9);
    let request = world.client.post(format!("{}{path}", world.url(node))).header("authorization", capability);
    let answer = request.header("consilium-body", announced).body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
}

async fn statements(world: &World, node: usize) -> String {
    String::from_utf8_lossy(&world.get(node, 1, "/statements", None).await.1).into_owned()
}

pub(crate) async fn convictions(world: &World) -> Vec<Conviction> {
    let head = world.ledger.head().await.unwrap().number;
    let events = world.ledger.events(0, head).await.unwrap().events.into_iter().map(|event| event.event);
    events.filter_map(|event| if let Event::Convicted(conviction) = event { Some(conviction) } else { None }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_honest_node_proves_a_wrong_settlement_although_it_was_started_again_in_between() {
    let mut world = World::prepare(5, 2).await;
    let gate = Gate::start(&world.sequencer).await;
    gate.refuse(|body| body.contains("eth_sendRawTransaction"));
    world.configs[0].rpc = vec![gate.url.clone()];
    world.open_round(1, 600).await;
    let vectors = settle_wrongly(&world).await;
    for node in 1..5 {
        serve_instead(&world, node, &vectors).await;
    }
    world.start_node(0).await;
    world
        .eventually("evidence against the settlement", async || {
            let (status, body) = world.get(0, 1, "/statements", None).await;
            status == 200 && String::from_utf8_lossy(&body).contains("wrong-settlement")
        })
        .await;
    assert!(convictions(&world).await.is_empty(), "nothing could be sent");
    world.kill_node(0);
    gate.refuse(|_| false);
    world.start_node(0).await;
    world.eventually("the conviction of all signers", async || convictions(&world).await.len() == 4).await;
    let (found, me) = (convictions(&world).await, world.keys[0].address());
    assert!(found.iter().all(|one| one.offence == Offence::WrongSettlement && one.reporter == me), "{found:?}");
    assert_eq!(world.ledger.round(1, 1).await.unwrap().state, State::Fraudulent);
    let pot = world.ledger.pot_of(1, world.keys[1].address()).await.unwrap().unwrap();
    assert_eq!(
        (pot.round, pot.amount),
        (0, U256::from(BOND - BOND / 10)),
        "the rest is the sink's: no site of this round has a part"
    );
    assert_eq!(world.ledger.pot_of(1, me).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_differs_from_a_wrong_settlement_is_never_shown() {
    let mut world = World::prepare(5, 2).await;
    world.open_round(1, 600).await;
    world.start_node(0).await;
    world.eventually("the round", async || world.get(0, 1, "", None).await.0 == 200).await;
    let differing = share_root(&world, 2);
    tell(&world, 0, 2, Message::ShareRoot(differing)).await;
    let vectors = settle_wrongly(&world).await;
    world.eventually("the evidence", async || statements(&world, 0).await.contains("wrong-share-root")).await;
    // Nobody serves what is behind the settlement: filing has had its turn several times before anyone does.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert!(convictions(&world).await.is_empty());
    for node in 1..5 {
        serve_instead(&world, node, &vectors).await;
    }
    world.eventually("the conviction of all signers", async || convictions(&world).await.len() == 4).await;
    assert!(convictions(&world).await.iter().all(|one| one.offence == Offence::WrongSettlement));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_damaged_copy_of_its_share_still_tells_a_sound_settlement_and_who_differs_from_it() {
    let mut world = World::prepare(5, 2).await;
    let folder = world.configs[0].data.join("blobs/rounds/1/1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("share"), vec![0; 8 * (DIMENSION as usize + 1)]).unwrap();
    world.open_round(1, 600).await;
    world.start_node(0).await;
    world.eventually("the round", async || world.get(0, 1, "", None).await.0 == 200).await;
    tell(&world, 0, 2, Message::ShareRoot(share_root(&world, 2))).await;
    let vectors = settle(&world, Fp::ZERO).await;
    for node in 1..5 {
        serve_instead(&world, node, &vectors).await;
    }
    world.eventually("the conviction", async || convictions(&world).await.len() == 1).await;
    let found = convictions(&world).await[0];
    assert_eq!((found.offence, found.node), (Offence::WrongShare, world.keys[1].address()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_framed_by_a_wrong_settlement_has_its_bond_back() {
    let mut world = World::prepare(5, 2).await;
    world.open_round(1, 600).await;
    let vectors = settle_wrongly(&world).await;
    // What the honest node signed is right, and differs from what Q others settled.
    let (me, said) = (world.keys[0].address(), share_root(&world, 1));
    let charge = Charge::WrongShareRoot { address: me, statements: Box::new([said]) };
    world.ledger.accuse(&world.sponsor, &Accusation { study: 1, round: 1, charge }).await.unwrap();
    assert!(world.ledger.pot_of(1, me).await.unwrap().unwrap().doubt == Doubt::Settlement);

    for node in 1..5 {
        serve_instead(&world, node, &vectors).await;
    }
    world.start_node(0).await;
    world.eventually("the conviction of all signers", async || convictions(&world).await.len() == 5).await;
    world.eventually("the acquittal", async || world.ledger.pot_of(1, me).await.unwrap().is_none()).await;
    for node in 1..5 {
        assert!(world.ledger.pot_of(1, world.keys[node].address()).await.unwrap().is_some(), "the signers stay convicted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_signs_two_contributions_is_struck_and_refused_from_the_next_round_on() {
    let world = World::start(5, 3).await;
    let round = world.open_round(1, 600).await;
    let (first, second) = (world.contribution(&round.terms, 0), world.contribution(&round.terms, 0));
    assert_eq!(world.upload(0, 1, first.body()).await.0, 200);
    assert_eq!(world.upload(0, 1, first.body()).await.0, 200, "the same bytes again are no offence");
    assert_eq!(world.upload(0, 1, second.body()).await.0, 409);
    for site in 1..3 {
        assert_eq!(world.upload(site, 1, world.contribution(&round.terms, site).body()).await.0, 200);
    }
    let settled = world.settled(1).await;
    assert!(settled.struck.is_empty(), "a strike is for later rounds");
    let liar: Address = world.sites[0].address();
    world
        .eventually("the strike", async || {
            let history = world.ledger.history(1).await.unwrap();
            history.struck_now().contains(&liar)
        })
        .await;
    let next = world.open_round(2, 600).await;
    assert_eq!(next.struck, [liar].into());
    assert!(!next.terms.admits(&liar) && next.terms.sites.len() == 2);
    let refused = world.upload(0, 2, world.contribution(&next.terms, 0).body()).await;
    assert_eq!(code(&refused).0, 403, "{refused:?}");
    for site in 1..3 {
        assert_eq!(world.upload(site, 2, world.contribution(&next.terms, site).body()).await.0, 200);
    }
    world.settled(2).await;
    assert!(convictions(&world).await.is_empty(), "no node did wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_contributions_that_arrive_at_the_same_moment_are_compared() {
    let world = World::start(4, 3).await;
    let round = world.open_round(1, 600).await;
    world.eventually("the round", async || world.get(0, 1, "", None).await.0 == 200).await;
    let (first, second) = (world.contribution(&round.terms, 0).body(), world.contribution(&round.terms, 0).body());
    let (one, other) = tokio::join!(world.upload(0, 1, first), world.upload(0, 1, second));
    assert!(one.0 == 200 || other.0 == 200, "{one:?} {other:?}");
    let site: Address = world.sites[0].address();
    world.eventually("the strike", async || world.ledger.history(1).await.unwrap().struck_now().contains(&site)).await;
}
