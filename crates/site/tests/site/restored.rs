//! A data folder that was copied, lost, or restored from a backup: the nodes know what its key has signed.

use crate::committee::Conduct;
use crate::world::{World, model, update, wallet, weighted_mean};
use consilium_core::terms::Terms;
use consilium_site::journal::Slot;
use consilium_site::nodes::NodeFault;
use consilium_site::{Error, Progress, Refusal, Site, SiteConfig, Submitted};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

async fn contribute(site: &Site, terms: &Terms, number: u8) -> Result<Submitted, Error> {
    site.contribute(1, terms.round, &update(number), 1, model().model_digest()).await
}

/// The same site's configuration with another data folder.
fn elsewhere(config: &SiteConfig) -> SiteConfig {
    SiteConfig { data: config.data.with_extension("elsewhere"), ..config.clone() }
}

fn has_signed(site: &Site, terms: &Terms) -> bool {
    site.journal().contribution(&Slot::new(terms.domain, 1, terms.round)).is_some()
}

async fn opened() -> (World, Terms, SiteConfig) {
    let world = World::new(weighted_mean()).await;
    let terms = world.open(1, model().model_digest()).await;
    let config = world.config(1, &[1]).await;
    (world, terms, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_folder_signs_nothing_in_a_round_that_the_key_has_signed_in() {
    let (world, terms, config) = opened().await;
    // Copied before the round, as a backup would have it.
    let copied = elsewhere(&config);
    drop(world.site_of(config.clone(), 1));
    std::fs::create_dir_all(&copied.data).unwrap();
    std::fs::copy(config.data.join("journal"), copied.data.join("journal")).unwrap();
    let submitted = contribute(&world.site_of(config.clone(), 1), &terms, 1).await.unwrap();
    let sent = world.committee.received().len();

    // The same update too: its message would be another one.
    let restored = world.site_of(copied, 1);
    for number in [1, 2] {
        let error = contribute(&restored, &terms, number).await.unwrap_err();
        let words = error.to_string();
        assert!(!error.is_temporary() && words.contains("a copy or was restored") && words.contains("resume"), "{words}");
        let Some(Refusal::SignedBefore { place, digest, node, .. }) = error.refusal() else { panic!("{words}") };
        assert_eq!((place.round, *digest), (terms.round, submitted.digest));
        assert!(world.urls().contains_key(node));
    }
    assert_eq!(world.committee.received().len(), sent);
    assert!(!has_signed(&restored, &terms));
    // The folder that has it goes on; so do other sites.
    assert!(contribute(&world.site_of(config, 1), &terms, 1).await.unwrap().resumed);
    contribute(&world.site(2).await, &terms, 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_holds_it_is_enough() {
    let (world, terms, mut config) = opened().await;
    (1..=5).for_each(|node| world.conduct(node, Conduct::KeepsToItself));
    config.timeouts.deliver = 0.3;
    let error = contribute(&world.site_of(config.clone(), 1), &terms, 1).await.unwrap_err();
    assert!(matches!(error, Error::Undelivered { .. }), "{error}");
    let received = world.committee.received();
    let [(holder, _)] = &received[..] else { panic!("{} uploads", received.len()) };
    // n - t answers are those of all but this one.
    world.conduct(1 + holder % 5, Conduct::Mute);
    let error = contribute(&world.site_of(elsewhere(&config), 1), &terms, 1).await.unwrap_err();
    let Some(Refusal::SignedBefore { node, .. }) = error.refusal() else { panic!("{error}") };
    assert_eq!(*node, wallet(1 + holder).address());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_holds_nobody_up_and_two_stop_a_site_that_does_not_trust_its_journal() {
    let (world, terms, mut config) = opened().await;
    config.timeouts.inquiry = 30.0;
    world.conduct(1, Conduct::Mute);
    let began = Instant::now();
    contribute(&world.site_of(config.clone(), 1), &terms, 1).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    world.conduct(2, Conduct::Mute);
    let sent = world.committee.received().len();
    let mut config = world.config(2, &[1]).await;
    config.timeouts.inquiry = 0.5;
    let site = world.site_of(config.clone(), 2);
    let error = contribute(&site, &terms, 2).await.unwrap_err();
    let Error::TooFewAnswers { have: 3, needed: 4, attempts } = &error else { panic!("{error}") };
    let silent: Vec<_> = attempts.iter().map(|failure| failure.node).collect();
    assert!(error.is_temporary() && error.to_string().contains("trust_journal = true"), "{error}");
    assert!(silent.contains(&wallet(2).address()) && silent.contains(&wallet(3).address()), "{error}");
    assert_eq!(world.committee.received().len(), sent);
    assert!(!has_signed(&site, &terms));
    drop(site);
    config.policy.trust_journal = true;
    contribute(&world.site_of(config.clone(), 2), &terms, 2).await.unwrap();
    // Trust in the journal is no reason to overlook a signature.
    let error = contribute(&world.site_of(elsewhere(&config), 2), &terms, 2).await.unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::SignedBefore { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_url_are_named_among_those_that_did_not_answer() {
    let (world, terms, mut config) = opened().await;
    config.nodes.retain(|node, _| [2, 3, 4].map(|number| wallet(number).address()).contains(node));
    let error = contribute(&world.site_of(config, 1), &terms, 1).await.unwrap_err();
    let Error::TooFewAnswers { have: 3, attempts, .. } = &error else { panic!("{error}") };
    assert_eq!(attempts.len(), 2, "{error}");
    assert!(error.to_string().contains("no URL for it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_contributions_and_receipts_stop_nobody_and_are_told() {
    let (world, terms, config) = opened().await;
    world.conduct(1, Conduct::InventsContributions);
    world.conduct(2, Conduct::InventsReceipts);
    let told: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let heard = told.clone();
    let site = world.site_of(config, 1).with_observer(Arc::new(move |event| heard.lock().unwrap().push(event)));
    contribute(&site, &terms, 1).await.unwrap();
    let told = std::mem::take(&mut *told.lock().unwrap());
    let words = |wanted: &str| told.iter().any(|event| format!("{event:?}").contains(wanted));
    assert!(words("which this site has not signed"), "{told:?}");
    let stray = told.iter().filter(|event| matches!(event, Progress::UnknownReceipt(words) if words.contains("going on")));
    assert_eq!(stray.count(), 1, "{told:?}");

    // A liar is none of the n - t that answer.
    world.conduct(2, Conduct::InventsContributions);
    let mut config = world.config(2, &[1]).await;
    config.timeouts.inquiry = 0.5;
    let error = contribute(&world.site_of(config, 2), &terms, 2).await.unwrap_err();
    let Error::TooFewAnswers { attempts, .. } = &error else { panic!("{error}") };
    assert!(attempts.iter().filter(|failure| matches!(failure.fault, NodeFault::False(_))).count() == 2, "{error}");
}
