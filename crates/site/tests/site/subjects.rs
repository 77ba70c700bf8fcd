//! One subject, one sum: over studies, contracts, chains and committees, whatever endpoints say.

use crate::world::{World, model, site_keys, update, wallet, weighted_mean};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use axum::body::{Body, to_bytes};
use axum::response::Response;
use consilium_chain::Sequencer;
use consilium_ledger::{Ledger, Wallet, client_provider};
use consilium_site::journal::{Journal, Recorded, Slot};
use consilium_site::message::Message;
use consilium_site::sharing::{SharedSubjects, StudyCommittee};
use consilium_site::{Refusal, Site, SiteConfig};

async fn refused(site: &Site, study: u64, round: u64) -> (Refusal, String) {
    let error = site.contribute(study, round, &update(1), 1, model().model_digest()).await.unwrap_err();
    let words = error.to_string();
    (error.refusal().unwrap_or_else(|| panic!("{words}")).clone(), words)
}

async fn contribute(site: &Site, study: u64, round: u64) {
    site.contribute(study, round, &update(1), 1, model().model_digest()).await.unwrap();
}

fn sharing(mut config: SiteConfig, named: &[StudyCommittee]) -> SiteConfig {
    config.policy.shared = SharedSubjects::new(vec![named.to_vec()]).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_running_elsewhere() {
    let world = World::new(weighted_mean()).await;
    let first = world.open(1, model().model_digest()).await;
    contribute(&world.site(1).await, 1, first.round).await;
    let study = world.study(weighted_mean(), 2).await;
    let second = world.open(study, model().model_digest()).await;
    let site = world.site_of(world.config(1, &[1, study]).await, 1);
    let (refusal, words) = refused(&site, study, second.round).await;
    let Refusal::SubjectElsewhere { earlier, here, .. } = refusal else { panic!("{words}") };
    assert_eq!((earlier.slot.study, earlier.slot.round, here.study), (1, first.round, study));
    assert!(world.committee.received().is_empty());
}

/// The fork shows a certified round as void: the update must not get into a second sum.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_all_call_a_certified_round_void() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let (first, study) = (world.open(1, base).await, world.study(weighted_mean(), 2).await);
    let late = world.now() + 150;
    let fork = Sequencer::new(world.sequencer.chain().fork(), move || late);
    let liar = Ledger::new(client_provider(fork.client()), world.addresses).await.unwrap();
    for number in 1..=3 {
        let site = world.site(number).await;
        site.contribute(1, first.round, &update(number), 1, base).await.unwrap();
    }
    world.close(&first).await;
    world.tick(150);
    let sponsor = Wallet::new(world.sponsor.key().unwrap().clone());
    let round = liar.open_round(&sponsor, study, base, late + 100, late + 200).await.unwrap().output;
    let config = world.config(1, &[1, study]).await;
    let site = world.site_at(config.clone(), 1, vec![liar.clone(), liar.clone()]);
    assert_eq!(site.await_result(1, first.round).await.unwrap(), consilium_site::Outcome::Void);
    let (refusal, words) = refused(&site, study, round).await;
    assert!(matches!(refusal, Refusal::SubjectElsewhere { .. }), "{words}");
    for part in ["round 1 of study 1 (contract", "whatever it is told", "[[shared_subjects]]", "study = 1, committee = \"0x"] {
        assert!(words.contains(part), "{words}");
    }
    let chain = format!("chain {}", world.addresses.domain().chain_id);
    assert!(words.contains(&chain) && words.contains(&world.addresses.domain().contract.to_string()), "{words}");
    let slot = Slot::new(world.addresses.domain(), study, round);
    assert_eq!(site.journal().contribution(&slot), None);
    drop(site);
    // The same words, pasted, are the permission.
    let named = [world.named(1).await, world.named(study).await];
    let opened = world.open(study, base).await;
    let site = world.site_of(sharing(config, &named), 1);
    contribute(&site, study, opened.round).await;
    assert!(site.journal().contribution(&Slot::new(opened.domain, study, opened.round)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_in_the_same_study_with_the_same_committee_needs_no_permission() {
    let world = World::new(weighted_mean()).await;
    let first = world.open(1, model().model_digest()).await;
    let site = world.site(1).await;
    contribute(&site, 1, first.round).await;
    world.tick(100);
    world.ledger.void_round(&world.sponsor, 1, first.round).await.unwrap();
    let second = world.open(1, model().model_digest()).await;
    contribute(&site, 1, second.round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_committee_of_the_same_study_after_a_void_round() {
    let world = World::new(weighted_mean()).await;
    let first = world.open(1, model().model_digest()).await;
    let old = world.named(1).await;
    contribute(&world.site(1).await, 1, first.round).await;
    world.tick(100);
    world.ledger.void_round(&world.sponsor, 1, first.round).await.unwrap();
    let nodes: Vec<Address> = (2..=6).map(|number| wallet(number).address()).collect();
    world.ledger.set_committee(&world.sponsor, 1, 1, &nodes).await.unwrap();
    let new = world.named(1).await;
    assert_ne!(old, new);
    let second = world.open(1, model().model_digest()).await;
    let mut config = world.config(1, &[1]).await;
    config.policy.studies.get_mut(&1).unwrap().committees.insert(old.committee);
    let site = world.site_of(config.clone(), 1);
    let (refusal, words) = refused(&site, 1, second.round).await;
    assert!(matches!(refusal, Refusal::SubjectElsewhere { here, .. } if here == new), "{words}");
    assert!(words.contains(&old.to_string()) && words.contains(&new.to_string()), "{words}");
    drop(site);
    contribute(&world.site_of(sharing(config, &[old, new]), 1), 1, second.round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_only_the_chain_tells_of() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let first = world.open(1, base).await;
    for number in 2..=3 {
        world.site(number).await.contribute(1, first.round, &update(number), 1, base).await.unwrap();
    }
    world.close(&first).await;
    let study = world.study(weighted_mean(), 2).await;
    let second = world.open(study, base).await;
    let config = world.config(1, &[1, study]).await;
    let site = world.site_of(config.clone(), 1);
    let (refusal, words) = refused(&site, study, second.round).await;
    assert!(matches!(refusal, Refusal::SubjectCertified { place, .. } if place.study == 1), "{words}");
    assert!(words.contains("[[shared_subjects]]"), "{words}");
    drop(site);
    let named = [world.named(1).await, world.named(study).await];
    contribute(&world.site_of(sharing(config, &named), 1), study, second.round).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_on_another_chain() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let config = world.config(1, &[1]).await;
    let message = Message::from(b"message".to_vec());
    let elsewhere = Recorded {
        slot: Slot { chain_id: 5, contract: Address::repeat_byte(5), study: 8, round: 9 },
        committee: B256::repeat_byte(3),
        subject: base,
        digest: B256::repeat_byte(1),
        input: B256::ZERO,
        message: message.hash(),
    };
    let open = || Journal::open(&config.data, site_keys(1).address()).unwrap();
    open().record(elsewhere, &message, &SharedSubjects::default()).unwrap();
    open().note_void(elsewhere.slot).unwrap();
    let site = world.site_of(config.clone(), 1);
    let (refusal, words) = refused(&site, 1, terms.round).await;
    assert!(matches!(refusal, Refusal::SubjectElsewhere { earlier, .. } if *earlier == elsewhere), "{words}");
    assert!(words.contains("chain 5") && words.contains("study 8"), "{words}");
    drop(site);
    let named = [elsewhere.study_committee(), world.named(1).await];
    contribute(&world.site_of(sharing(config, &named), 1), 1, terms.round).await;
}

/// Makes the votes in the events of certificates anybody's.
async fn forge(answer: Response) -> Response {
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let certified = keccak256("RoundCertified(uint64,uint64,bytes32,uint32,uint256,bytes)").to_string();
    for log in value["result"].as_array_mut().into_iter().flatten().filter(|log| log["topics"][0] == certified.as_str()) {
        let mut data = log["data"].as_str().unwrap().parse::<Bytes>().unwrap().to_vec();
        // Root, size, voters, place and length of the votes, which begin with r.
        (160..data.len() - 64).step_by(65).for_each(|vote| data[vote + 31] ^= 1);
        log["data"] = Bytes::from(data).to_string().into();
    }
    Response::builder().header("content-type", "application/json").body(Body::from(value.to_string())).unwrap()
}

/// An invented certificate in a journal would keep the site from the subject for ever, also on honest endpoints.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_genuine_votes_spends_no_subject() {
    let world = World::new(weighted_mean()).await;
    let first = world.open(1, model().model_digest()).await;
    for number in 1..=3 {
        let site = world.site(number).await;
        site.contribute(1, first.round, &update(number), 1, first.subject).await.unwrap();
    }
    let now = world.now();
    let fork = Sequencer::new(world.sequencer.chain().fork(), move || now);
    let forked = Ledger::new(client_provider(fork.client()), world.addresses).await.unwrap();
    // A wallet of its own: it counts its transactions on the fork.
    let sponsor = Wallet::new(world.sponsor.key().unwrap().clone());
    world.committee.certify(&forked, &sponsor, &first).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = consilium_chain::router(fork).layer(axum::middleware::map_response(forge));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let liar = Ledger::connect(&url, world.addresses).await.unwrap();
    let shown = liar.round(1, first.round).await.unwrap();
    assert_eq!(shown.certificate.unwrap().genuine_votes(&first).len(), 0);

    let mut config = world.config(1, &[1]).await;
    config.timeouts.result = 0.3;
    let site = world.site_at(config, 1, vec![liar]);
    drop(site.await_result(1, first.round).await.unwrap_err());
    assert_eq!(site.journal().certified(first.subject).next(), None);
    drop(site);
    world.tick(100);
    world.ledger.void_round(&world.sponsor, 1, first.round).await.unwrap();
    let second = world.open(1, first.subject).await;
    contribute(&world.site(1).await, 1, second.round).await;
}
