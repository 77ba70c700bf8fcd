//! Every rule of a site, and the words with which it refuses. Nothing may have been sent.

use crate::world::{CHAIN_ID, START, World, ballot, model, site_keys, update, wallet, weighted_mean};
use alloy_primitives::{Address, B256};
use consilium_core::accusation::{Accusation, Charge, SignedContribution};
use consilium_core::eip712::Contribution;
use consilium_core::params::Finality;
use consilium_core::program::{AnyProgram, WeightedMean};
use consilium_ledger::{Conditions, Endpoints, Ledger, NewStudy, client_provider};
use consilium_site::journal::Slot;
use consilium_site::{Error, Refusal, Site, SiteConfig};
use std::sync::Arc;
use std::time::Duration;

async fn refusal(site: &Site, study: u64, round: u64, base: B256) -> (Refusal, String) {
    let error = site.contribute(study, round, &update(1), 1, base).await.unwrap_err();
    assert!(!error.is_temporary());
    let words = error.to_string();
    (error.refusal().unwrap_or_else(|| panic!("{words}")).clone(), words)
}

/// A world with an open round, and the refusal of a site whose configuration was changed.
async fn refused_with(change: impl FnOnce(&mut SiteConfig)) -> (Refusal, String) {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let mut config = world.config(1, &[1]).await;
    change(&mut config);
    let refused = refusal(&world.site_of(config, 1), 1, terms.round, base).await;
    assert!(world.committee.received().is_empty());
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committee_that_nobody_has_told_it_about() {
    let (refused, words) = refused_with(|config| config.policy.studies.clear()).await;
    assert!(matches!(refused, Refusal::UnknownCommittee { epoch: 1, .. }));
    assert!(words.contains("was told of none") && words.contains("[studies.1]"), "{words}");
    let other = B256::repeat_byte(7);
    let pin = |config: &mut SiteConfig| config.policy.studies.get_mut(&1).unwrap().committees = [other].into();
    let (refused, words) = refused_with(pin).await;
    let Refusal::UnknownCommittee { found, .. } = refused else { panic!("{words}") };
    assert!(words.contains(&other.to_string()) && words.contains(&found.to_string()), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_minimum_below_its_own() {
    let (refused, words) = refused_with(|config| config.policy.minimum_cohort = 3).await;
    assert_eq!(refused, Refusal::CohortTooSmall { round: 2, own: 3 }, "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_jurisdictions_that_it_does_not_allow() {
    let (refused, words) = refused_with(|config| config.policy.jurisdictions = ["FR".to_owned()].into()).await;
    assert!(matches!(refused, Refusal::Operator { .. }) && words.contains("\"Clinic 1\" in \"DE\""), "{words}");
    let operators = (1..=4).map(|node| format!("Clinic {node}")).collect();
    let (refused, words) = refused_with(|config| config.policy.operators = operators).await;
    assert!(matches!(refused, Refusal::Operator { node, .. } if node == wallet(6).address()), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_model_from_nowhere_unless_it_is_told_to() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let (refused, _) = refusal(&world.site(1).await, 1, terms.round, B256::repeat_byte(1)).await;
    assert_eq!(refused, Refusal::OtherSubject { subject: base, given: B256::repeat_byte(1) });
    let mut config = world.config(2, &[1]).await;
    config.policy.studies.get_mut(&1).unwrap().genesis = Some(B256::repeat_byte(2));
    let site = world.site_of(config.clone(), 2);
    let (refused, words) = refusal(&site, 1, terms.round, base).await;
    assert_eq!(refused, Refusal::UnknownBaseModel { study: 1, base, genesis: B256::repeat_byte(2) });
    assert!(words.contains("trust_model") && words.contains("any_base_model"), "{words}");
    drop(site);
    config.policy.any_base_model = true;
    world.site_of(config, 2).contribute(1, terms.round, &update(1), 1, base).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_not_open_or_does_not_admit_it() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let stranger = world.site_of(world.config(9, &[1]).await, 9);
    let (refused, _) = refusal(&stranger, 1, terms.round, base).await;
    assert_eq!(refused, Refusal::NotAdmitted { site: site_keys(9).address(), admitted: 3 });
    let site = world.site(1).await;
    let nothing = site.resume(1, terms.round).await.unwrap_err();
    assert!(matches!(nothing.refusal(), Some(Refusal::NothingToResume(_))), "{nothing}");
    let ballot = site.vote(1, terms.round, 0, None).await.unwrap_err();
    assert!(matches!(ballot.refusal(), Some(Refusal::OtherProgram { .. })), "{ballot}");
    world.tick(100);
    let (refused, words) = refusal(&site, 1, terms.round, base).await;
    assert!(matches!(refused, Refusal::DeadlinePassed { .. }), "{words}");
    let missing = site.contribute(1, 7, &update(1), 1, base).await.unwrap_err();
    assert!(missing.to_string().contains("study 1 has no round 7"), "{missing}");
    let missing = site.contribute(5, 1, &update(1), 1, base).await.unwrap_err();
    assert!(missing.to_string().contains("no study 5"), "{missing}");
}

/// Proves that site 1 signed two contributions to a round.
async fn strike(world: &World, round: u64) {
    let (domain, keys) = (world.ledger.domain(), site_keys(1));
    let signed = |byte: u8| {
        let (digest, boxes) = (B256::repeat_byte(byte), B256::ZERO);
        let said = Contribution { study: 1, round, site: keys.address(), digest, boxes };
        SignedContribution { digest, boxes, signature: domain.sign(keys.signing(), &said) }
    };
    let charge = Charge::TwoContributions { site: keys.address(), statements: Box::new([signed(1), signed(2)]) };
    world.ledger.accuse(&wallet(2), &Accusation { study: 1, round, charge }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn being_struck_off() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    strike(&world, 1).await;
    let terms = world.open(1, base).await;
    let (refused, words) = refusal(&world.site(1).await, 1, terms.round, base).await;
    assert_eq!(refused, Refusal::Struck { site: site_keys(1).address(), study: 1 });
    assert!(words.contains("ask the sponsor to restore the site"), "{words}");
    world.site(2).await.contribute(1, terms.round, &update(2), 1, base).await.unwrap();
}

/// Site 1's refusal of a round of 100 s that opens `ahead` seconds from now by its own clock.
async fn opening(ahead: u64, tolerance: u64) -> Result<(), (Refusal, String)> {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let mut config = world.config(1, &[1]).await;
    config.clock.tolerance = tolerance;
    let now = Duration::from_secs(terms.policy.opened - ahead);
    let site = world.site_of(config, 1).with_time(Arc::new(move || now));
    let result = site.contribute(1, terms.round, &update(1), 1, base).await;
    assert_eq!(world.committee.received().is_empty(), result.is_err());
    result.map(drop).map_err(|error| (error.refusal().unwrap().clone(), error.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_time_that_is_ahead_of_its_clock() {
    opening(25, 600).await.unwrap();
    let (refused, words) = opening(26, 600).await.unwrap_err();
    let Refusal::OpensInTheFuture { opened, now, tolerance_millis, .. } = refused else { panic!("{words}") };
    assert_eq!((opened - now, tolerance_millis), (26, 25_000), "a quarter of the round is the most");
    assert!(words.contains("25 s ahead are tolerated") && words.contains("NTP") && words.contains("[clock]"), "{words}");
    opening(7, 7).await.unwrap();
    let (refused, words) = opening(8, 7).await.unwrap_err();
    assert!(matches!(refused, Refusal::OpensInTheFuture { tolerance_millis: 7_000, .. }), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_a_round_is_no_reason() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    world.tick(99);
    let mut config = world.config(1, &[1]).await;
    config.clock.tolerance = 0;
    world.site_of(config, 1).contribute(1, terms.round, &update(1), 1, base).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_too_few_tests() {
    let world = World::new(ballot()).await;
    let new = NewStudy {
        program: AnyProgram::WeightedMean(WeightedMean::new(6, 25, 8, 16, 1.0).unwrap()),
        threshold: 1,
        nodes: (2..=6).map(|number| wallet(number).address()).collect(),
        sites: (1..=3).map(|number| site_keys(number).address()).collect(),
        sites_uri: String::new(),
        minimum_cohort: 2,
        finality: Finality::Instant,
        weight_unit: String::new(),
        description: Default::default(),
        conditions: Conditions::default(),
    };
    let study = world.ledger.create_study(&world.sponsor, &new).await.unwrap().output;
    let base = model().model_digest();
    let round = world.ledger.open_round(&world.sponsor, study, base, START + 100, START + 200).await.unwrap().output;
    let site = world.site_of(world.config(1, &[study]).await, 1);
    let (refused, words) = refusal(&site, study, round, base).await;
    assert!(matches!(refused, Refusal::Program(_)) && words.contains("128 test rows, not 16"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_behind_the_same_endpoint() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let mut config = world.config(1, &[1]).await;
    config.addresses.chain_id = 5;
    let endpoints = Endpoints::new(vec![world.ledger.clone()]).unwrap();
    let site = Site::new(config.clone(), site_keys(1), endpoints).unwrap();
    let (refused, _) = refusal(&site, 1, terms.round, base).await;
    assert_eq!(refused, Refusal::WrongChain { found: CHAIN_ID, expected: 5 });
    let error = Ledger::new(client_provider(world.sequencer.client()), config.addresses).await.unwrap_err();
    assert!(error.to_string().contains("serves chain 31337, not chain 5"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_and_nodes_that_are_not_there_are_named() {
    let world = World::new(weighted_mean()).await;
    let mut config = world.config(1, &[1]).await;
    config.rpc = vec!["http://127.0.0.1:9".into()];
    let error = Site::connect(config.clone(), site_keys(1)).await.unwrap_err();
    assert!(error.to_string().contains("cannot reach the chain at http://127.0.0.1:9"), "{error}");
    assert!(error.is_temporary());
    config.nodes.values_mut().for_each(|url| *url = "http://127.0.0.1:9".into());
    config.timeouts.inquiry = 0.3;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let site = world.site_of(config.clone(), 1);
    let error = site.contribute(1, terms.round, &update(1), 1, base).await.unwrap_err();
    assert!(error.to_string().contains("at http://127.0.0.1:9: cannot be reached"), "{error}");
    drop(site);
    config.nodes.clear();
    let error = world.site_of(config.clone(), 1).contribute(1, terms.round, &update(1), 1, base).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains("[nodes]"), "{error}");
    config.nodes.insert(Address::ZERO, "localhost:8000".into());
    let endpoints = Endpoints::new(vec![world.ledger.clone()]).unwrap();
    let error = Site::new(config, site_keys(1), endpoints).unwrap_err();
    assert!(error.to_string().contains("http://host:port"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_cannot_be_encoded_leave_no_trace() {
    let world = World::new(weighted_mean()).await;
    let base = model().model_digest();
    let terms = world.open(1, base).await;
    let site = world.site(1).await;
    let slot = Slot::new(terms.domain, 1, terms.round);
    for (update, weight) in [(vec![0.0; 5], 1), (vec![f64::NAN; 6], 1), (vec![0.0; 6], 0), (vec![0.0; 6], 257)] {
        let error = site.contribute(1, terms.round, &update, weight, base).await.unwrap_err();
        assert!(matches!(error, Error::Encode(_)), "{error}");
        assert_eq!(site.journal().contribution(&slot), None);
    }
}
